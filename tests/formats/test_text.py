from dataclasses import replace
from datetime import date

import pytest

from sweeper.escaping import hidden
from sweeper.formats import formats
from sweeper.formats.text import WIDTH, render
from sweeper.model import (
    Change,
    ChangeStatus,
    Compliance,
    Delivery,
    Failed,
    Finding,
    Reason,
    Report,
    Since,
    Skipped,
    Stage,
)
from sweeper.report import ended_early
from tests.factories import (
    ACCOUNT_ID,
    account,
    change,
    earlier,
    exemption,
    failed,
    finding,
    hostile_report,
    impact,
    report,
    run,
    since_last,
    target,
    unavailable,
    with_tags,
)


def lines(item: Report) -> list[str]:
    return render(item).decode().splitlines()


def flat(item: Report) -> str:
    return " ".join(render(item).decode().split())


def test_a_clean_sweep() -> None:
    assert render(report(compliant=3)).decode() == (
        "ECR image tag mutability\n"
        "Sweep 20261124T010000Z-0a1b2c\n"
        "2026-11-24T01:00:00Z to 2026-11-24T01:04:10Z, organization o-exampleorg, "
        "from account 999988887777\n"
        "Auto-Remediation: ENABLED, sweeper 0.1.0\n"
        "\n"
        "All accounts and regions were examined. "
        "Seen: 3 repositories in 1 account-region of 1 account.\n"
        "\n"
        "Accounts       1: 1 opened, 0 skipped, 0 failed\n"
        "Their regions  1: 1 examined, 0 skipped, 0 failed\n"
        "Repositories   3: 3 compliant, 0 non-compliant, 0 exempt, 0 undetermined\n"
        "Changes        0 planned: 0 applied, 0 failed, 0 withheld, 0 superseded\n"
        "Remaining      0 findings\n"
    )


def test_what_was_not_seen_comes_before_what_was() -> None:
    text = flat(
        report(
            [
                finding(
                    compliance=Compliance.UNDETERMINED, mutability="NEW", reason="NEW is unknown"
                )
            ],
            [
                (account("777788889999"), failed(Reason.ASSUME_ROLE_DENIED)),
                (target(region="ap-east-1"), failed()),
            ],
        )
    )
    assert (
        "NOT EVERYTHING WAS SEEN: 1 of 2 accounts and 1 of 2 account-regions could not be "
        "examined; 1 repository could not be judged. Seen: 2 repositories"
    ) in text
    assert text.index("NOT EVERYTHING") < text.index("Accounts 2:") < text.index("FINDINGS")
    assert "NEW, undetermined: left as it is: NEW is unknown" in text


def test_a_sweep_that_ended_early_has_seen_nothing() -> None:
    early = ended_early(
        run(organization_id=None, account_id=None),
        Failed(Stage.ENUMERATE, Reason.NOT_ALLOWED_TO_LIST, "no", "AccessDeniedException"),
    )
    text = flat(early)
    assert "NOTHING WAS SEEN" in text
    assert "Everything" not in text
    assert "the whole sweep: not_allowed_to_list, AccessDeniedException: no What to do: run" in text


@pytest.mark.parametrize(
    ("item", "said"),
    [
        (finding(change=change()), "MUTABLE, non_compliant: set to IMMUTABLE"),
        (finding(), "left as it is: outside the scope of remediation"),
        (
            finding(change=change(ChangeStatus.FAILED, reason=Reason.THROTTLED, error="T: slow")),
            "could NOT be set to IMMUTABLE (throttled: T: slow)",
        ),
        (
            finding(change=change(ChangeStatus.WITHHELD, reason=Reason.MAX_CHANGES)),
            "not set to IMMUTABLE: the plan has more changes than remediation.max_changes",
        ),
        (
            finding(change=change(ChangeStatus.SUPERSEDED, reason=Reason.NOW_COMPLIANT)),
            "left as it is: it was closed by others meanwhile",
        ),
        (
            finding(change=change(ChangeStatus.WITHHELD)),
            "not set to IMMUTABLE: for a reason that was not recorded",
        ),
        (
            finding(exemption=exemption(expires=date(2026, 10, 31), expired=True), change=change()),
            "its exemption expired on 2026-10-31: rebuilt nightly (rule * * sandbox/*)",
        ),
        (
            finding(
                "x", mutability="IMMUTABLE_WITH_EXCLUSION", exclusion_filters=("dev*", "latest")
            ),
            "eu-central-1 x IMMUTABLE_WITH_EXCLUSION (dev*, latest), non_compliant: left",
        ),
        (
            finding(compliance=Compliance.EXEMPT, exemption=exemption()),
            "EXEMPT (1) 111122223333 product-a eu-central-1 product-a/service-one MUTABLE "
            "rebuilt nightly (rule * * sandbox/*)",
        ),
        (
            finding(
                compliance=Compliance.EXEMPT,
                exemption=exemption(source="pull_through_cache", reason="filled by a rule"),
            ),
            "product-a/service-one MUTABLE filled by a rule",
        ),
    ],
)
def test_findings_say_what_was_done(item: Finding, said: str) -> None:
    assert said in flat(report([item]))


@pytest.mark.parametrize("reason", [Reason.DENIED_BY_SCP, Reason.WRITE_NOT_PERMITTED])
def test_a_denied_write_says_what_to_allow(reason: Reason) -> None:
    text = flat(report([finding(change=change(ChangeStatus.FAILED, reason=reason))]))
    assert f"1 change not made ({reason}): let the member role write" in text
    assert "coverage.accept" not in text


def test_a_dry_run_and_disabled_remediation_say_so() -> None:
    planned = finding(change=Change(ChangeStatus.PLANNED, "IMMUTABLE", ()))
    text = flat(report([planned], dry_run=True))
    assert "Sweep 20261124T010000Z-0a1b2c (dry run)" in text
    assert "would be set to IMMUTABLE (dry run)" in text
    text = flat(report([finding()], auto_remediate="DISABLED"))
    assert "left as it is: Auto-Remediation is DISABLED" in text


def test_findings_are_grouped_by_account() -> None:
    shown = lines(
        report(
            [
                finding("a"),
                finding("b", region="us-east-1"),
                finding("c", account_id="444455556666", account_name="data"),
            ]
        )
    )
    start = shown.index("FINDINGS (3; 3 remain)")
    assert [line for line in shown[start:] if not line.startswith("      ") and line] == [
        "FINDINGS (3; 3 remain)",
        "  111122223333 product-a",
        "    eu-central-1  a",
        "    us-east-1  b",
        "  444455556666 data",
        "    eu-central-1  c",
    ]


@pytest.mark.parametrize(
    ("reason", "advice"),
    [
        (Reason.ASSUME_ROLE_DENIED, "role is missing there, or its trust policy or ExternalId"),
        (
            Reason.REGIONS_UNREADABLE,
            "except account:ListRegions from the region-deny SCP; until then",
        ),
        (Reason.DENIED_BY_SCP, "regions.exclude"),
    ],
)
def test_failures_have_a_line_each_and_advice_once(reason: Reason, advice: str) -> None:
    places = [target(region=f"ap-south-{index}") for index in (1, 2)]
    item = report([], [(place, failed(reason)) for place in places])
    said = f"{reason}, AccessDeniedException: User is not authorized"
    assert [line for line in lines(item) if said in line] == [
        f"  {ACCOUNT_ID} (product-a) {place.region}: {said}" for place in places
    ]
    assert flat(item).count(advice) == 1


def test_a_failure_without_advice_has_its_line() -> None:
    refused = failed(Reason.REQUEST_REFUSED, message="no", error_code=None)
    text = flat(report([], [(account("777788889999"), refused)]))
    assert text.endswith("COULD NOT BE SEEN (1) 777788889999: request_refused, no")


def test_an_exempt_finding_need_not_say_why() -> None:
    text = flat(report([finding("x", compliance=Compliance.EXEMPT)]))
    assert text.endswith("EXEMPT (1) 111122223333 product-a eu-central-1 x MUTABLE")


def test_a_change_not_made_without_advice() -> None:
    changed = change(ChangeStatus.FAILED, reason=Reason.REQUEST_REFUSED)
    assert "not made" not in flat(report([finding(change=changed)]))


def test_skipped_are_summed_by_reason() -> None:
    item = report(
        [],
        [],
        [
            (account("000011112222"), Skipped(Reason.ACCOUNT_SUSPENDED)),
            *(
                (target(region=f"us-west-{index}"), Skipped(Reason.REGION_EXCLUDED))
                for index in range(1, 6)
            ),
        ],
    )
    assert lines(item)[-3:] == [
        "",
        "  account_suspended: 1 (000011112222)",
        "  region_excluded: 5 (111122223333 us-west-1, 111122223333 us-west-2, "
        "111122223333 us-west-3, …)",
    ]


def test_deliveries_are_listed_where_they_are_known() -> None:
    deliveries = (
        Delivery("directory", "/out", "delivered"),
        Delivery("s3", "s3://b/", "failed", Reason.DESTINATION_MISSING, "NoSuchBucket", "gone"),
        Delivery("x", "y", "failed", Reason.REQUEST_REFUSED, None, "no"),
        Delivery("sns", "arn:aws:sns:…", "not_needed"),
    )
    text = flat(replace(report(), deliveries=deliveries))
    assert "directory: /out s3: s3://b/: FAILED (destination_missing, NoSuchBucket, gone)" in text
    assert "What to do: create the bucket" in text
    assert text.endswith("x: y: FAILED (request_refused, no) sns: arn:aws:sns:…: not needed")


def test_hostile_text_cannot_forge_a_line() -> None:
    text = render(hostile_report()).decode()
    assert not any(hidden(char) for char in text.replace("\n", ""))
    assert not any(line.lstrip().startswith("Forged") for line in text.splitlines())


def test_lines_are_short_where_content_allows() -> None:
    item = report(
        [finding(change=change(ChangeStatus.FAILED, reason=Reason.DENIED, error="word " * 100))],
        [(account("777788889999"), failed(Reason.ASSUME_ROLE_DENIED))],
    )
    assert max(map(len, lines(item))) <= WIDTH


def test_the_same_facts_give_the_same_bytes() -> None:
    items = [finding(name) for name in ("c", "a", "b")]
    assert render(report(items)) == render(report(items[::-1]))


def test_whom_to_ask_stands_beside_the_account() -> None:
    item = with_tags(report([finding()]), owner="payments\n", cost="12")
    assert f"  {ACCOUNT_ID} product-a (owner: payments\\x0a, cost: 12)" in lines(item)
    nameless = with_tags(report([finding(account_name="")]), owner="payments")
    assert f"  {ACCOUNT_ID} (owner: payments)" in lines(nameless)


def test_tags_that_could_not_be_read_are_told() -> None:
    why = "of 1 of 2 accounts: denied, AccessDeniedException: no"
    item = replace(report([finding()]), account_tags_unavailable=why)
    assert f"  The account tags could not be read {why}." in lines(item)


def test_the_formats() -> None:
    known = formats()
    assert {name: known[name].extension for name in ("csv", "json", "junit", "ocsf", "text")} == {
        "csv": "csv",
        "json": "json",
        "junit": "junit.xml",
        "ocsf": "ocsf.jsonl",
        "text": "txt",
    }
    assert "schema" not in known
    assert "wording" not in known


def test_what_changed_since_the_last_sweep() -> None:
    item = replace(
        report(
            [
                finding("a", since_last=Since.NEW),
                finding("b", since_last=Since.REOPENED, reopened=1),
            ]
        ),
        since_last=since_last(
            new=1,
            reopened=1,
            resolved=[earlier("c", was_open=False), earlier("d")],
            not_visible=[earlier("e", account_id="444455556666", account_name="")],
        ),
    )
    text = render(item).decode()
    assert (
        "Since last     1 new, 0 still open, 1 reopened, 2 resolved, 1 not seen this time; "
        "compared with\n               sweep 20261123T010000Z-0f0f0f\n"
    ) in text
    assert "MUTABLE, non_compliant, new: left as it is" in text
    assert "MUTABLE, non_compliant, reopened: left as it is" in text
    assert text.endswith(
        "RESOLVED SINCE THE LAST SWEEP (2)\n"
        "\n"
        "  111122223333 product-a\n"
        "    eu-central-1  c  MUTABLE, closed by then, last seen 2026-11-23T01:04:10Z\n"
        "    eu-central-1  d  MUTABLE, last seen 2026-11-23T01:04:10Z\n"
        "\n"
        "NOT SEEN THIS TIME (1)\n"
        "\n"
        "  444455556666\n"
        "    eu-central-1  e  MUTABLE, last seen 2026-11-23T01:04:10Z\n"
    )


def test_why_what_changed_is_not_known() -> None:
    item = replace(
        report(), since_last=since_last(run_id=None, unavailable="latest.json is damaged")
    )
    assert "Since last     not known: latest.json is damaged\n" in render(item).decode()


def test_what_could_not_be_kept_is_said_where_the_report_lies() -> None:
    delivery = Delivery("s3", "s3://b/", "delivered", message="history.json was begun\nanew")
    item = replace(report(), deliveries=(delivery,))
    assert lines(item)[-1] == "  s3: s3://b/ (history.json was begun\\x0aanew)"


PLANNED = change(ChangeStatus.PLANNED)
IMPACT = """\
WHAT CLOSING MAY BREAK (4 repositories)

  Tags look moved by design in 2 of 4 repositories, in 2 of them some that no filter of the plan
  keeps; of 1 it is not known. A name is no proof: see docs/impact.md.

  111122223333 product-a
    eu-central-1  a
      not all of its tags were read, at most those of 2 images: a filter may match others
      2 tags look moved by design: qa (pushed 2026-11-20T10:00:00Z, without a filter), latest
      (pushed 2026-11-20T10:00:00Z)
      with these exclusion filters they could still be: latest
      no filter keeps 1 of them: more than five would be needed, or they would match other tags
      3 images are untagged, the newest pushed 2026-11-01T00:00:00Z: such may be what overwritten
      tags left behind, parts of images for several platforms, or images whose tag was deleted
    eu-central-1  b
      2 tags look moved by design: latest (pushed 2026-11-20T10:00:00Z), main (pushed
      2026-11-20T10:00:00Z)
      with these exclusion filters they could still be: latest, main
    eu-central-1  c
      no tag looks moved by design
    eu-central-1  d
      its tags could not be read: denied_by_identity_policy (AccessDeniedException: no)

  What to do about denied_by_identity_policy: let the member role call ecr:DescribeImages there.

  To keep them so, add this to config.yaml, or to the lists that are there:
  Not all tags of 1 repository were read: these filters may match others there.

remediation:
  exclusions: ["latest"]
  exclusions_by_repository:
    "b": ["main"]
"""


def test_impact_of_each_repository_and_the_configuration_that_keeps_it() -> None:
    full = impact(
        "latest",
        "qa",
        exclusions=("latest",),
        untagged=3,
        untagged_pushed_at="2026-11-01T00:00:00Z",
    )
    unkept = replace(full.moved[1], kept_by=None)
    full = replace(full, moved=(unkept, full.moved[0]), not_kept=1, truncated=True)
    item = report(
        [
            finding("a", change=PLANNED, impact=full),
            finding("b", change=PLANNED, impact=impact("latest", "main")),
            finding("c", change=PLANNED, impact=impact()),
            finding("d", change=PLANNED, impact=unavailable()),
        ]
    )
    text = render(item).decode()
    section = text[text.index("WHAT CLOSING MAY BREAK") :]
    assert section == IMPACT


def test_without_an_assessment_there_is_no_such_section() -> None:
    assert "MAY BREAK" not in flat(report([finding(change=PLANNED)]))
