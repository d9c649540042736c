"""What each reason means, and the table of them: `python -m sweeper.reporting.reasons`."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from sweeper.domain.model import Stage
from sweeper.domain.reasons import Reason
from sweeper.reporting.wording import advice

_R = Reason
MEANING = {
    _R.AWS_CONFIGURATION_INVALID: "the AWS settings of this process cannot be used",
    _R.NO_CREDENTIALS: "this process has no AWS credentials that AWS takes",
    _R.NOT_IN_ORGANIZATION: "the caller's account belongs to no organization",
    _R.NOT_ALLOWED_TO_LIST: "the caller may not list the accounts of the organization",
    _R.NO_ACCOUNT_CHOSEN: "the filters leave no active account",
    _R.UNKNOWN_ACCOUNT: "an account that the configuration names is not in the organization",
    _R.UNKNOWN_OU: "an OU that the configuration names is not in the organization",
    _R.LEASE_HELD: "another sweep uses the same S3 prefix",
    _R.OTHER_ORGANIZATION: "the report that is to be undone is of another organization, or account",
    _R.ACCOUNT_PENDING_ACTIVATION: "the account is not active yet",
    _R.ACCOUNT_SUSPENDED: "the account is suspended",
    _R.ACCOUNT_PENDING_CLOSURE: "the account is being closed",
    _R.ACCOUNT_CLOSED: "the account is closed",
    _R.ACCOUNT_STATE_UNKNOWN: "AWS gives the account a state that this version does not know",
    _R.ACCOUNT_OU_UNKNOWN: "the account moved while the tree of OUs was read",
    _R.ACCOUNT_EXCLUDED: "the filters leave the account out",
    _R.ASSUME_ROLE_DENIED: "the member role could not be assumed: AWS does not say why",
    _R.PACKED_POLICY_TOO_LARGE: "STS refused the session: its policy and the tags that the "
    "caller's credentials pass on are too large together",
    _R.ACCESS_LOST: "the member role could be assumed when the sweep began, and not any more",
    _R.ACCOUNT_LEFT: "the account is not in the organization any more",
    _R.ACCOUNT_MOVED: "the account left the scope of the sweep or of remediation while it ran",
    _R.STS_REGION_DISABLED: "the account has not enabled the region in which roles are assumed",
    _R.REGIONS_UNREADABLE: "the account's regions may not be read (account:ListRegions)",
    _R.REGION_EXCLUDED: "regions.include or regions.exclude leaves the region out",
    _R.REGION_ENABLING: "the account is just enabling the region",
    _R.REGION_DISABLING: "the account is just disabling the region",
    _R.REGION_STATUS_UNKNOWN: "AWS gives the region a status that this version does not know",
    _R.REGION_NOT_ENABLED: "the region does not know the account's keys, and the role is good: "
    "it is not enabled, or not any more",
    _R.DENIED: "not permitted; AWS does not say by which policy",
    _R.DENIED_BY_SCP: "a service control policy does not permit it",
    _R.DENIED_BY_RCP: "a resource control policy does not permit it",
    _R.DENIED_BY_PERMISSIONS_BOUNDARY: "the role's permissions boundary does not permit it",
    _R.DENIED_BY_SESSION_POLICY: "sweeper's own session policy does not permit it",
    _R.DENIED_BY_IDENTITY_POLICY: "the role's policy does not permit it",
    _R.DENIED_BY_RESOURCE_POLICY: "the resource's own policy does not permit it",
    _R.DENIED_BY_VPC_ENDPOINT_POLICY: "the policy of a VPC endpoint does not permit it",
    _R.THROTTLED: "AWS answered that there are too many calls, five times",
    _R.TIMED_OUT: "no answer within the time-outs, five times",
    _R.CONNECTION_FAILED: "no connection, or one that broke, five times",
    _R.ENDPOINT_UNREACHABLE: "the region's endpoint has not answered for a while: it was not "
    "called again for this account",
    _R.CREDENTIALS_EXPIRED: "the caller's credentials expired",
    _R.SIGNATURE_REFUSED: "AWS does not take the signature: the secret key is wrong",
    _R.CLOCK_SKEW: "AWS does not take the signature: the clock of this machine is wrong",
    _R.SERVICE_ERROR: "AWS answered with an error of its own, five times",
    _R.REQUEST_REFUSED: "AWS refused the call for a reason that sweeper does not know",
    _R.UNEXPECTED_RESPONSE: "the answer is not what AWS sends: cut, changed, or of another shape",
    _R.INTERNAL_ERROR: "a defect of sweeper",
    _R.DEADLINE: "not reached before the deadline",
    _R.INTERRUPTED: "not reached before a signal ended the sweep",
    _R.MAX_CHANGES: "the plan has more changes than remediation.max_changes: none was made",
    _R.MIN_COVERAGE: "less was seen than remediation.min_coverage: no change was made",
    _R.TOO_MANY_FILTERS: "more than the five exclusion filters would remain that ECR allows",
    _R.LEFT_TO_A_PERSON: "closing it would break what is meant, as its error says",
    _R.PULL_THROUGH_RULES_UNREADABLE: "whether a pull-through cache fills the repository could "
    "not be read",
    _R.NOT_CONFIRMED: "whoever was asked did not say yes",
    _R.WRITE_NOT_GRANTED: "no policy grants the member role such changes, and none denies them",
    _R.WRITE_NOT_PERMITTED: "another change in the account was denied before: this was not tried",
    _R.NOT_RECORDED: "the change could not be put on record, so it was not made",
    _R.FACTS_TOO_OLD: "the run that was gone on with began more than a day ago: nothing more was "
    "changed",
    _R.LEASE_UNAVAILABLE: "whether another sweep is at work could not be told, so no change was "
    "made",
    _R.LEASE_LOST: "another sweep may be at work by now, so the change was not made",
    _R.CHANGED_SINCE_EXAMINED: "somebody changed it after it was examined",
    _R.NOW_COMPLIANT: "somebody closed it after it was examined",
    _R.REPOSITORY_DELETED: "somebody deleted it, the repository or the creation template, "
    "after it was examined",
    _R.ALREADY_RESTORED: "it has the setting again that the run replaced",
    _R.CHANGED_SINCE_APPLIED: "somebody changed it after the run that is undone",
    _R.WRITE_FAILED: "the report could not be written to the disk",
    _R.CHANGED_MEANWHILE: "another sweep wrote to the same place in S3 just then",
    _R.EARLIER_REPORT_KEPT: "an earlier report of the same run has changes that this one lacks, "
    "or could not be read: it was not replaced, and this one is stored beside it",
    _R.DESTINATION_MISSING: "the bucket or topic is not there, or Security Hub is not enabled",
}


def table() -> Iterator[str]:
    """The lines of docs/reasons.md."""
    yield "# Reasons"
    yield ""
    yield "Why something was skipped, failed, withheld or superseded: a closed list, that of the"
    yield "report's [schema](report.schema.json). Made by `make reasons`."
    yield ""
    yield "| reason | what it means | what to do |"
    yield "|---|---|---|"
    for reason in Reason:
        todo = advice(Stage.EXAMINE, reason) or ""
        yield f"| `{reason}` | {MEANING[reason]} | {todo.replace('|', ' or ')} |"


if __name__ == "__main__":
    sys.stdout.write("\n".join(table()) + "\n")
