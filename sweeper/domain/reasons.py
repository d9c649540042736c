"""Why something was skipped, failed, withheld or superseded, and what to do: one table."""

from __future__ import annotations

from sweeper.domain.reason_type import (
    ReasonType,
    Row,
    acceptable,
    needs_review,
    run_ending,
    withholds_plan,
)


class Reason(ReasonType):
    """Why something was skipped, failed, withheld or superseded: a closed list."""

    # Nothing to sweep
    AWS_CONFIGURATION_INVALID = run_ending(
        "aws_configuration_invalid",
        "the AWS settings of this process are not valid",
        "correct the AWS settings of this process: profile, region, endpoint URLs",
    )
    NO_CREDENTIALS = run_ending(
        "no_credentials",
        "this process has no AWS credentials that AWS accepts",
        "give this process AWS credentials: a task role, a profile, or SSO",
    )
    NOT_IN_ORGANIZATION = run_ending(
        "not_in_organization",
        "the caller's account belongs to no organization",
        "run in the management account or a delegated administrator of an organization, or set "
        "organization.enumerate: false",
    )
    NOT_ALLOWED_TO_LIST = run_ending(
        "not_allowed_to_list",
        "the caller may not list the accounts of the organization",
        "run in the management account or a delegated administrator, with "
        "organizations:ListAccounts",
    )
    NO_ACCOUNT_CHOSEN = run_ending("no_account_chosen", "the filters leave no active account")
    UNKNOWN_ACCOUNT = run_ending(
        "unknown_account",
        "an account that the configuration names is not in the organization",
        "correct the account ids: --account, or those under organization and remediation",
        withholds_plan=True,
    )
    UNKNOWN_OU = run_ending(
        "unknown_ou",
        "an OU that the configuration names is not in the organization",
        "correct the OU ids under organization and remediation",
    )
    LEASE_HELD = Row(
        "lease_held",
        "another sweep uses the same S3 prefix now",
        "wait until that sweep has ended; the lease of a sweep that was killed expires",
    )
    OTHER_ORGANIZATION = run_ending(
        "other_organization",
        "the report is from another organization, or another account",
        "sign in to the organization that the report is from",
    )
    # Accounts
    ACCOUNT_PENDING_ACTIVATION = Row("account_pending_activation", "the account is not active yet")
    ACCOUNT_SUSPENDED = Row("account_suspended", "the account is suspended")
    ACCOUNT_PENDING_CLOSURE = Row("account_pending_closure", "the account is being closed")
    ACCOUNT_CLOSED = Row("account_closed", "the account is closed")
    ACCOUNT_STATE_UNKNOWN = Row(
        "account_state_unknown",
        "AWS gives the account a state that this version does not know",
        "update sweeper: AWS has a state that this version does not know",
    )
    ACCOUNT_OU_UNKNOWN = Row("account_ou_unknown", "the account moved just now", "run again")
    ACCOUNT_EXCLUDED = Row("account_excluded", "the filters leave the account out")
    ASSUME_ROLE_DENIED = acceptable(
        "assume_role_denied",
        "AWS did not let the caller assume the member role, and does not say why",
        "check that the member role exists and that its trust policy and ExternalId admit this "
        "caller: deploy the StackSet to the account; where the message names sts:TagSession or "
        "sts:SetSourceIdentity, with AllowSessionTags=true",
    )
    PACKED_POLICY_TOO_LARGE = Row(
        "packed_policy_too_large",
        "STS refused the session: its policy and the caller's session tags are too large together",
        "pass on fewer or shorter session tags: for EKS Pod Identity, set disableSessionTags on "
        "the association (docs/kubernetes.md)",
    )
    ACCESS_LOST = Row(
        "access_lost",
        "the member role could be assumed when the sweep began, and cannot be assumed now",
        "check whether the role was deleted or changed, or the account closed, during the sweep",
    )
    ACCOUNT_LEFT = Row(
        "account_left",
        "the account left the organization",
        "nothing, if the account was meant to leave",
    )
    ACCOUNT_MOVED = Row(
        "account_moved",
        "the account left the scope of the sweep or of remediation while the sweep ran",
        "nothing, if the account was meant to move",
    )
    STS_REGION_DISABLED = acceptable(
        "sts_region_disabled",
        "the account has not enabled the region in which sweeper assumes roles",
        "set organization.sts_region to a region that the account has enabled",
    )
    REGIONS_UNREADABLE = acceptable(
        "regions_unreadable",
        "the caller may not list the account's regions (account:ListRegions)",
        "except account:ListRegions from the region-deny SCP; until then only the regions that "
        "regions.include names are checked, and coverage.accept can accept that the others are "
        "not known",
    )
    # Regions
    REGION_EXCLUDED = Row("region_excluded", "regions.include or regions.exclude leaves it out")
    REGION_ENABLING = Row("region_enabling", "the account is enabling the region now")
    REGION_DISABLING = Row("region_disabling", "the account is disabling the region now")
    REGION_STATUS_UNKNOWN = Row(
        "region_status_unknown",
        "AWS gives the region a status that this version does not know",
        "update sweeper: AWS has a region status that this version does not know",
    )
    REGION_NOT_ENABLED = acceptable(
        "region_not_enabled",
        "the region does not accept the account's credentials, which are valid elsewhere: the "
        "account has not enabled it",
        "run again, if the account disabled it just now; accept the reason under coverage.accept "
        "where the account's regions cannot be listed and it has not enabled this one",
    )
    # AWS Config
    RECORDED_NOT_PLANNED = acceptable(
        "recorded_not_planned",
        "AWS Config has recorded repositories there, and the sweep did not know of the account or "
        "region",
        "check why the account or region is not among those that were listed, or accept the reason "
        "under coverage.accept",
    )
    AGGREGATOR_MISSING = Row(
        "aggregator_missing",
        "AWS Config has no aggregator of this name in this region",
        "correct name and region of inventory.config_aggregator; run in the aggregator's account",
    )
    # Denied: by what, where AWS says it
    DENIED = acceptable(
        "denied",
        "AWS denied it, and does not say by which policy",
        "let the member role read ECR there, or accept the reason under coverage.accept",
    )
    DENIED_BY_SCP = acceptable(
        "denied_by_scp",
        "a service control policy denies it",
        "except the member role from the SCP, leave the region out with regions.exclude, or accept "
        "the reason under coverage.accept",
    )
    DENIED_BY_RCP = acceptable(
        "denied_by_rcp",
        "a resource control policy denies it",
        "except the member role from the resource control policy",
    )
    DENIED_BY_PERMISSIONS_BOUNDARY = acceptable(
        "denied_by_permissions_boundary",
        "the role's permissions boundary does not allow it",
        "let the member role's permissions boundary allow what its policy allows",
    )
    DENIED_BY_SESSION_POLICY = Row(
        "denied_by_session_policy",
        "sweeper's own session policy does not allow it",
        "report this as a defect: the session policy is sweeper's own",
    )
    DENIED_BY_IDENTITY_POLICY = acceptable(
        "denied_by_identity_policy",
        "the role's policy does not allow it",
        "update the member role's policy: deploy the StackSet again",
    )
    DENIED_BY_RESOURCE_POLICY = acceptable(
        "denied_by_resource_policy",
        "the resource's own policy does not allow it",
        "let the resource's own policy admit the member role",
    )
    DENIED_BY_VPC_ENDPOINT_POLICY = acceptable(
        "denied_by_vpc_endpoint_policy",
        "the policy of a VPC endpoint does not allow it",
        "let the VPC endpoint's policy admit the member role",
    )
    # Transient
    THROTTLED = Row(
        "throttled",
        "AWS answered five times that there are too many calls",
        "run again, at another time or with a lower limits.max_workers",
    )
    TIMED_OUT = Row(
        "timed_out",
        "AWS did not answer within the time-outs, five times",
        "run again; if it stays, check the network between here and the region",
    )
    CONNECTION_FAILED = Row(
        "connection_failed",
        "five connections failed or broke",
        "run again; if it stays, check the proxy, the DNS and the VPC endpoints here",
    )
    # Acceptable for a named region: a network that does not reach it is a lasting condition.
    ENDPOINT_UNREACHABLE = acceptable(
        "endpoint_unreachable",
        "the region's endpoint has not answered for a while: sweeper did not call it again for "
        "this account",
        "run again; if it stays, check the network between here and the region, leave the region "
        "out with regions.exclude, or accept the reason for it under coverage.accept",
    )
    CREDENTIALS_EXPIRED = Row(
        "credentials_expired",
        "the caller's credentials expired",
        "run again with credentials that outlast the sweep",
    )
    SIGNATURE_REFUSED = Row(
        "signature_refused",
        "AWS refuses the signature: the secret key is wrong",
        "correct the secret key of the caller",
    )
    CLOCK_SKEW = Row(
        "clock_skew",
        "AWS refuses the signature: the clock of this machine is wrong",
        "correct the clock of this machine: AWS allows five minutes",
    )
    SERVICE_ERROR = Row(
        "service_error",
        "AWS answered five times with an error of its own",
        "run again; check AWS Health for an outage",
    )
    REQUEST_REFUSED = Row(
        "request_refused", "AWS refused the call for a reason that sweeper does not know"
    )
    UNEXPECTED_RESPONSE = Row(
        "unexpected_response",
        "the answer is not one that AWS sends: it was cut, changed, or has another structure",
        "check the proxy and the endpoint URLs: something between here and AWS may change answers",
    )
    INTERNAL_ERROR = Row(
        "internal_error",
        "sweeper has a defect",
        "report this as a defect of sweeper, with its message",
    )
    DEADLINE = Row(
        "deadline",
        "the deadline passed before it was reached",
        "raise limits.deadline_seconds, or sweep fewer accounts at a time; --resume resumes the "
        "run",
    )
    WORKER_FAILED = Row(
        "worker_failed",
        "the worker or process that was to do it left no whole record of its work",
        "read the log of that worker, and run again, or resume the run: sweeper run --resume ID",
    )
    INTERRUPTED = Row(
        "interrupted",
        "a signal ended the sweep before it was reached",
        "run again, or resume the run: the same command with --resume",
    )
    # Changes
    IN_GRACE_PERIOD = Row(
        "in_grace_period",
        "its grace period (remediation.grace_days) has not ended",
        "exempt what must stay mutable, or name exclusions for it, before its day",
    )
    IN_LATER_WAVE = Row(
        "in_later_wave",
        "its account is in a later wave of remediation.rollout",
        "exempt what must stay mutable, or name exclusions for it, before its day",
    )
    MAX_CHANGES_PER_ACCOUNT = Row(
        "max_changes_per_account",
        "the account has more changes than remediation.max_changes_per_account",
        "raise remediation.max_changes_per_account if so many changes are meant",
    )
    MAX_CHANGES = withholds_plan(
        "max_changes",
        "the plan has more changes than remediation.max_changes",
        "raise remediation.max_changes if so many changes are meant",
    )
    MIN_COVERAGE = withholds_plan(
        "min_coverage",
        "coverage is below remediation.min_coverage",
        "resolve the failures, or lower remediation.min_coverage",
    )
    TOO_MANY_FILTERS = needs_review(
        "too_many_filters",
        "more exclusion filters would remain than the five that ECR allows",
        "name fewer remediation.exclusions or policy.allowed_exclusions",
    )
    MANUAL_REVIEW_REQUIRED = needs_review(
        "manual_review_required",
        "it needs manual review: the change would break intended behavior",
        "resolve what its error says and change it by hand, or exempt it",
    )
    PULL_THROUGH_RULES_UNREADABLE = needs_review(
        "pull_through_rules_unreadable",
        "the pull-through cache rules could not be read, so a cache may fill the repository",
        "let the member role call ecr:DescribePullThroughCacheRules",
    )
    EXEMPTION_UNDECIDED = needs_review(
        "exemption_undecided",
        "an exemption depends on the account's OU or tags, which could not be read",
        "let the caller call organizations:ListTagsForResource, organizations:ListChildren and "
        "organizations:ListAccountsForParent, and run again",
    )
    CONTESTED = Row(
        "contested",
        "somebody keeps making it mutable again, more often than remediation.max_reopened allows",
        "set the mutability where the repository is defined: image_tag_mutability in Terraform, "
        "ImageTagMutability in CloudFormation, imageTagMutability in CDK; or exempt it",
    )
    NOT_CONFIRMED = Row("not_confirmed", "it was not confirmed")
    WRITE_NOT_GRANTED = Row(
        "write_not_granted",
        "no policy allows the member role such changes in this account, and none denies them",
        "let the member role write there (Allow… among its stack's parameters), or leave the "
        "account out with remediation.exclude_accounts",
    )
    WRITE_NOT_PERMITTED = Row(
        "write_not_permitted",
        "AWS denied another change in the account before, so this one was not tried",
    )
    JOURNAL_UNAVAILABLE = withholds_plan(
        "journal_unavailable",
        "it could not be recorded in the journal before it was made",
        "make state.directory writable, or set report.s3: sweeper changes nothing without a record",
    )
    PLAN_EXPIRED = withholds_plan(
        "plan_expired",
        "the plan has expired: the run began more than a day ago",
        "start a new sweep",
    )
    LEASE_UNAVAILABLE = withholds_plan(
        "lease_unavailable",
        "sweeper could not check whether another sweep is running",
        "let the caller read and write lease.json below report.s3: s3:GetObject, s3:PutObject, "
        "and the use of the KMS key",
    )
    LEASE_LOST = withholds_plan(
        "lease_lost",
        "the lease was lost: another sweep may be running",
        "run again; if it stays, check for a second sweep of the same prefix",
    )
    CHANGED_SINCE_EXAMINED = Row(
        "changed_since_examined", "somebody changed it after it was checked"
    )
    NOW_COMPLIANT = Row("now_compliant", "somebody made it immutable after it was checked")
    REPOSITORY_DELETED = Row("repository_deleted", "somebody deleted it after it was checked")
    ALREADY_RESTORED = Row(
        "already_restored", "it already has the setting that it had before the run"
    )
    CHANGED_SINCE_APPLIED = Row(
        "changed_since_applied",
        "somebody changed it after the run that is to be undone",
        "change it by hand if it is to be as it was",
    )
    CHANGED_SINCE_REVIEWED = Row(
        "changed_since_reviewed",
        "the repository, or the change that the configuration asks for, differs from the review",
        "review a new dry run",
    )
    NOW_EXEMPT = Row("now_exempt", "it is exempt now")
    OUTSIDE_WRITE_SCOPE = Row(
        "outside_write_scope",
        "the configuration does not allow the change any more",
        "include the account and the check under remediation, and review a new dry run",
    )
    # Deliveries
    WRITE_FAILED = Row(
        "write_failed",
        "the report could not be written to the disk",
        "check the path, its permissions and the free space",
    )
    DESTINATION_MISSING = Row(
        "destination_missing",
        "the bucket, topic or event bus does not exist, or Security Hub is not enabled",
        "create the bucket, topic or event bus, enable Security Hub, or correct its name or region "
        "under report",
    )
    CONCURRENT_MODIFICATION = Row(
        "concurrent_modification", "another sweep wrote to the same S3 prefix at the same time"
    )
    EARLIER_REPORT_KEPT = Row(
        "earlier_report_kept",
        "an earlier report of the same run has changes that this report lacks, or could not be "
        "read: it was not replaced, and this report is stored beside it",
        "keep both reports; to revert the run, pass each of them to sweeper undo",
    )


ACCEPTABLE_REASONS = tuple(reason for reason in Reason if reason.is_acceptable)

# A call that failed with one of them may succeed when it is tried again.
PASSING_REASONS = (
    Reason.THROTTLED,
    Reason.TIMED_OUT,
    Reason.CONNECTION_FAILED,
    Reason.ENDPOINT_UNREACHABLE,
    Reason.SERVICE_ERROR,
)
