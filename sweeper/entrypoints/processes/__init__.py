"""Scans with several processes of this machine, because one Python process uses one core.

Each process opens and checks its share of the accounts, and sends what it found through a pipe as
soon as it knows it (`worker`). The process that was started observes and records that
(`collector`), plans, writes and reports, as it does alone. The others have read-only sessions in
the accounts.
"""
