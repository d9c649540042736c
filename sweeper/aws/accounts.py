"""List the accounts of the organization, and assume the member role in them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from botocore.credentials import ReadOnlyCredentials

from sweeper.aws.client.answers import (
    MAX_OPAQUE,
    account_id,
    add_once,
    region,
    require,
    require_datetime,
    require_list,
    require_str,
)
from sweeper.aws.client.clients import Clients, Session
from sweeper.aws.client.credentials import (
    CredentialsFailed,
    MemberSession,
    MemberSessions,
    bound_to,
    is_usable,
)
from sweeper.aws.client.errors import translate_errors
from sweeper.aws.client.paging import PageTokens
from sweeper.aws.client.partitions import FALLBACK_REGION, first_region, partition_of, sts_region
from sweeper.aws.organizations import Organizations
from sweeper.domain import masking
from sweeper.domain.errors import OperationFailed
from sweeper.domain.exemptions import covers_account
from sweeper.domain.model import Account, Failed, OpenedAccount, Organization, Stage
from sweeper.domain.reasons import Reason
from sweeper.domain.selection import INACTIVE_STATES, may_write_on, named_regions, why_left_out
from sweeper.engine.attempts import Stop

if TYPE_CHECKING:
    from datetime import date

    from sweeper.config.schema import Config

_CORE_ACTIONS = frozenset({"account:ListRegions"})
_MAX_SESSION_POLICY = 2048  # STS: AssumeRole, Policy, characters


class AwsCloud:
    """AWS with the caller's credentials and the member role; every method raises OperationFailed.

    `read_actions` and `write_actions` are those of the checks; member sessions get the latter only
    in accounts where this run may write `today`. `sessions` are those of earlier runs of this
    process.
    """

    def __init__(
        self,
        config: Config,
        *,
        session: Session,
        stop: Stop,
        run_id: str,
        read_actions: Iterable[str],
        write_actions: Iterable[str],
        may_write: bool,
        today: date,
        sessions: dict[str, MemberSession] | None = None,
    ) -> None:
        self._config = config
        self._today = today
        self._session = session
        self._stop = stop
        self._run_id = run_id
        self._read_actions = _CORE_ACTIONS.union(read_actions)
        self._write_actions = frozenset(write_actions) if may_write else frozenset()
        self._sessions = MemberSessions(self._assume, sessions=sessions)
        self.clients = Clients(
            session,
            self._sessions,
            max_workers=config.limits.max_workers,
            stop=stop,
            own_sender=config.limits.http_sender == "own",
        )
        self._caller_region: str | None = session.region_name
        self._partition = ""
        self._sts_region = ""
        self._global_region = ""  # of the partition's global services
        self._caller: tuple[str, str] | None = None  # account id, ARN
        self._listed: frozenset[str] = frozenset()  # ids of the accounts that were listed
        self._writable: frozenset[str] = frozenset()
        self._organizations: Organizations | None = None
        self._tags: dict[str, Mapping[str, str]] = {}  # of the accounts whose tags were read
        self._region_lists: dict[tuple[tuple[str, str], ...], tuple[tuple[str, str], ...]] = {}

    def list_accounts(self) -> Organization:
        """Read who the caller is, and all accounts as they are now."""
        own_id, arn = self.caller()
        organization_id, accounts = self._accounts(own_id, arn)
        self._admit(accounts)
        return Organization(organization_id, self._partition, own_id, accounts)

    def adopt_accounts(self, organization: Organization) -> None:
        """Use the accounts that another process of the run listed.

        Raises OperationFailed where this process has credentials of another account.
        """
        own_id, arn = self.caller()
        if own_id != organization.account_id:
            raise OperationFailed(
                Reason.OTHER_ORGANIZATION,
                f"the run was started in account {organization.account_id}, and this process has "
                f"credentials of account {own_id}",
            )
        self._admit(organization.accounts)
        self._tags = {each.id: each.tags for each in organization.accounts if each.tags is not None}
        if organization.id is not None:
            self._open_organizations(arn)

    def _admit(self, accounts: Iterable[Account]) -> None:
        """Allow entering these accounts, and writing to those in the scope of remediation."""
        accounts = tuple(accounts)
        self._listed = frozenset(account.id for account in accounts)
        self._writable = frozenset(
            account.id
            for account in accounts
            if may_write_on(account, self._config.remediation, self._today)
        )

    def _open_organizations(self, caller_arn: str) -> Organizations:
        client = self.clients.central("organizations", self._global_region)
        self._organizations = Organizations(client, caller_arn, self._stop)
        return self._organizations

    def open_account(self, account: Account) -> OpenedAccount:
        """Assume the member role once, and read the account's regions.

        Where they cannot be read, the regions that the configuration names are used.
        """
        self.enter(account)
        try:
            return OpenedAccount(account, self.regions(account))
        except OperationFailed as error:
            reason = error.reason
            named = named_regions(self._config)
            if reason.is_denial:
                reason = Reason.REGIONS_UNREADABLE
            elif reason is Reason.REGION_NOT_ENABLED:
                reason = Reason.REQUEST_REFUSED  # the call was not to a region of the account
            if reason.is_stop or not named:
                raise OperationFailed(reason, error.message, error.error_code) from None
            unread = Failed(Stage.OPEN_ACCOUNT, reason, error.message, error.error_code)
            return OpenedAccount(account, named, unread)

    def enter(self, account: Account) -> None:
        """Assume the member role in the account, unless an earlier run left a session for it."""
        if not self._sessions.holds(account.id, self._allowed_actions(account.id)):
            self._sessions.open(account.id)

    def regions(self, account: Account) -> tuple[tuple[str, str], ...]:
        """Read the regions of an account that was entered, as (name, RegionOptStatus)."""
        client = self.clients.member("account", self._global_region)
        # One page has room for all regions of today.
        pages = client.get_paginator("list_regions").paginate(PaginationConfig={"PageSize": 50})
        found: dict[str, str] = {}
        tokens = PageTokens()
        with bound_to(account.id), translate_errors():
            for page in pages:
                for item in require_list(page, "Regions"):
                    status = require_str(item, "RegionOptStatus")
                    add_once(found, region(item, "RegionName"), status, "region")
                # The SDK takes a token of another type for the end.
                tokens.follow(page)
        regions = tuple(found.items())
        if all(status == "DISABLED" for _, status in regions):
            raise OperationFailed(
                Reason.UNEXPECTED_RESPONSE,
                f"none of the {len(regions)} regions in the answer is enabled: no account is so",
            )
        # Most accounts have the same regions, so they share one value.
        return self._region_lists.setdefault(regions, regions)

    def caller(self) -> tuple[str, str]:
        """Return the caller's account id and ARN."""
        if self._caller is None:
            caller = self._caller_identity()
            self._caller = account_id(caller, "Account"), require_str(caller, "Arn")
            self._partition = partition_of(self._caller[1])
            self._global_region = first_region(self._session, self._partition)
            self._sts_region = self._config.organization.sts_region or sts_region(
                self._session, self._partition, self._caller_region
            )
        return self._caller

    @property
    def organizations(self) -> Organizations | None:
        """Organizations as the caller sees it; None where `list_accounts` did not need it."""
        return self._organizations

    def forget_members(self) -> None:
        """Drop the credentials of the member accounts."""
        self._sessions.forget()

    def account_tags(self, account_ids: Sequence[str]) -> Mapping[str, Mapping[str, str] | Failed]:
        """Return the tags of listed accounts, or why they could not be read. Raises nothing.

        Tags that the filters needed are not read again; without Organizations there are none.
        """
        unread = [account_id for account_id in account_ids if account_id not in self._tags]
        found = self._organizations.tags(unread) if self._organizations else {}
        return {**self._tags, **found}

    def ou_names(self, ou_ids: Sequence[str]) -> Mapping[str, str | Failed]:
        """Return the names of OUs, or why they could not be read; raise nothing."""
        return self._organizations.ou_names(ou_ids) if self._organizations else {}

    def _caller_identity(self) -> Any:
        try:
            with translate_errors():
                region = self._caller_region or FALLBACK_REGION
                return self.clients.central("sts", region).get_caller_identity()
        except OperationFailed as error:
            if error.reason in _UNUSABLE_CREDENTIALS or error.reason.is_denial:
                advice = "" if isinstance(error, CredentialsFailed) else _SIGN_IN
                raise OperationFailed(
                    Reason.NO_CREDENTIALS,
                    f"no usable AWS credentials: {error.message}{advice}",
                    error.error_code,
                ) from None
            raise

    def _accounts(self, own_id: str, caller_arn: str) -> tuple[str | None, tuple[Account, ...]]:
        organization = self._config.organization
        if organization.role_name is None:
            return None, (Account(own_id, "", "ACTIVE"),)
        if not organization.enumerate:
            ids = dict.fromkeys(organization.include_accounts)
            return None, tuple(Account(account_id, "", "ACTIVE") for account_id in ids)
        organizations = self._open_organizations(caller_arn)
        organization_id, accounts = organizations.accounts()
        if named_ous := (*organization.named_ous, *self._config.remediation.named_ous):
            accounts = organizations.with_ou_paths(accounts, named_ous)
        if organization.include_tags or organization.exclude_tags:
            wanted = {
                account.id
                for account in accounts
                if account.state not in INACTIVE_STATES
                and account.id not in organization.exclude_accounts
            }
            if organization.include_accounts:
                wanted.intersection_update(organization.include_accounts)
            accounts = organizations.with_tags(accounts, wanted)
        accounts = self._with_exemption_facts(organizations, accounts)
        self._tags = {item.id: item.tags for item in accounts if item.tags is not None}
        return organization_id, accounts

    def _with_exemption_facts(
        self, organizations: Organizations, accounts: tuple[Account, ...]
    ) -> tuple[Account, ...]:
        """Add the OUs and tags that exemptions depend on, as far as they can be read.

        Others are undecided: see `undecided_exemption`. Raises OperationFailed where an OU that an
        exemption names is not in the organization.
        """
        if ous := self._config.exempt_ous:
            try:
                accounts = organizations.with_ou_paths(accounts, ous)
            except OperationFailed as error:
                if error.reason is Reason.UNKNOWN_OU or error.reason.is_stop:
                    raise
        rules = self._config.tag_exemptions
        unread = [
            account.id
            for account in accounts
            if account.tags is None
            and why_left_out(account, self._config.organization) is None
            and any(covers_account(rule, account) is not False for rule in rules)
        ]
        found = organizations.tags(unread) if unread else {}
        return tuple(
            account
            if isinstance(tags := found.get(account.id), Failed) or tags is None
            else replace(account, tags=tags)
            for account in accounts
        )

    def _allowed_actions(self, account_id: str) -> frozenset[str]:
        """Return what this run may do in the account. Raises OperationFailed."""
        if account_id not in self._listed:
            # Do not reveal the name of the role to an account outside the organization.
            raise OperationFailed(
                Reason.ACCOUNT_LEFT, "the account is no longer among those of the organization"
            )
        writes = self._write_actions if account_id in self._writable else frozenset()
        return self._read_actions | writes

    def _assume(self, account_id: str) -> MemberSession:
        organization = self._config.organization
        allowed = self._allowed_actions(account_id)
        if organization.role_name is None:
            credentials = self._session.get_credentials()
            if credentials is None:
                raise OperationFailed(Reason.NO_CREDENTIALS, "the caller's credentials are gone")
            return MemberSession(credentials, None, allowed)
        parameters: dict[str, Any] = {
            "RoleArn": f"arn:{self._partition}:iam::{account_id}:role/{organization.role_name}",
            # The member role grants no write to a session of the second name, whoever opened it.
            "RoleSessionName": f"sweeper-{'' if self._write_actions else 'read-'}{self._run_id}",
            "Policy": _session_policy(allowed),
        }
        if organization.external_id:
            parameters["ExternalId"] = organization.external_id
        try:
            with translate_errors():
                response = self.clients.central("sts", self._sts_region).assume_role(**parameters)
        except OperationFailed as error:
            raise _as_assume_role_error(error) from None
        keys = require(response, "Credentials")
        values = []
        for name in ("AccessKeyId", "SecretAccessKey", "SessionToken"):
            value = require_str(keys, name, MAX_OPAQUE)
            masking.register(value, of_run=True)
            if not is_usable(value):
                raise OperationFailed(
                    Reason.UNEXPECTED_RESPONSE,
                    f"the {name} has a space, a control character or a character beyond ASCII: it "
                    "is not what AWS sends",
                )
            values.append(value)
        expires = require_datetime(keys, "Expiration")
        return MemberSession(ReadOnlyCredentials(*values), expires, allowed)


_SIGN_IN = (
    "; sign in, or set AWS_PROFILE or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and AWS_REGION"
)
_UNUSABLE_CREDENTIALS = {
    Reason.NO_CREDENTIALS,
    Reason.CREDENTIALS_EXPIRED,
    Reason.REGION_NOT_ENABLED,  # STS's answer to an unknown key
    Reason.SIGNATURE_REFUSED,
}


def _as_assume_role_error(error: OperationFailed) -> OperationFailed:
    """Give the failure the reason that it has when it is from AssumeRole."""
    reason = error.reason
    if reason in (
        Reason.DENIED,
        Reason.DENIED_BY_IDENTITY_POLICY,
        Reason.DENIED_BY_RESOURCE_POLICY,
    ):
        # STS does not say whether the role, its trust or the ExternalId is wrong.
        reason = Reason.ASSUME_ROLE_DENIED
    elif reason is Reason.REGION_NOT_ENABLED:
        # The unknown keys are the caller's: this is not about the account.
        reason = Reason.NO_CREDENTIALS
    return OperationFailed(reason, error.message, error.error_code)


def _session_policy(actions: Iterable[str]) -> str:
    """Return a policy that limits a member session to `actions`, whatever the role allows."""
    statement = {"Effect": "Allow", "Action": sorted(actions), "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]}, separators=(",", ":"))
    if len(policy) > _MAX_SESSION_POLICY:
        raise ValueError(
            f"the session policy has {len(policy)} of {_MAX_SESSION_POLICY} characters"
        )
    return policy
