"""The address of a repository in the console, of each partition; no other text makes one."""

from dataclasses import replace

from botocore.session import Session

from sweeper.reporting.console import console_template, console_url
from tests.cases import case
from tests.factories import HOSTILE, earlier, finding, template

ACCOUNT = "111122223333"


def test_the_console_of_each_partition() -> None:
    page = f"ecr/repositories/private/{ACCOUNT}/team/a"
    cases = {
        ("aws", "eu-central-1"): "https://eu-central-1.console.aws.amazon.com",
        ("aws", "us-east-1"): "https://us-east-1.console.aws.amazon.com",
        ("aws-us-gov", "us-gov-west-1"): "https://us-gov-west-1.console.amazonaws-us-gov.com",
        ("aws-cn", "cn-northwest-1"): "https://cn-northwest-1.console.amazonaws.cn",
        ("aws-eusc", "eusc-de-east-1"): "https://eusc-de-east-1.console.amazonaws-eusc.eu",
        ("aws-iso", "us-iso-east-1"): None,
        ("aws-iso-b", "us-isob-east-1"): None,
        ("aws-iso-e", "eu-isoe-west-1"): None,
        ("aws-iso-f", "us-isof-south-1"): None,
        ("", "eu-central-1"): None,
        (None, "eu-central-1"): None,
    }
    for (partition, region), host in cases.items():
        with case(partition, region):
            expected = host and f"{host}/{page}?region={region}"
            for item in (finding("team/a", region=region), earlier("team/a", region=region)):
                assert console_url(item, partition) == expected


def test_every_region_has_an_address() -> None:
    session = Session()
    for partition in ("aws", "aws-cn", "aws-us-gov", "aws-eusc"):
        for region in session.get_available_regions("ecr", partition):
            with case(region):
                assert console_url(finding("ab", region=region), partition)


def test_only_names_that_ecr_gives_have_an_address() -> None:
    for name in ("ab", "a.b_c-d/e", "a--b", "team__a/b/c", "x" * 256):
        with case(name):
            assert (console_url(finding(name), "aws") or "").count(f"/{name}?") == 1
    bad = (*HOSTILE, "", "A", "a", "a/../b", "../a", "a?b", "a#b", "a b", "a%2fb", "x" * 257)
    for text in bad:
        with case(text):
            assert console_url(finding(text), "aws") is None
            assert console_url(replace(finding(), account_id=text), "aws") is None
            assert console_url(replace(finding(), region=text), "aws") is None
    assert console_url(template("ab"), "aws") is None
    assert console_url(finding(resource="other"), "aws") is None


def test_the_template_is_what_the_address_is_made_of() -> None:
    item = finding("team/a")
    filled = (console_template("aws") or "").format(
        account=item.account_id, region=item.region, repository=item.repository
    )
    assert filled == console_url(item, "aws")
