"""A small AWS on 127.0.0.1: one HTTP process that any client reaches through ``AWS_ENDPOINT_URL``.

It speaks the wire protocols of the services that a sweep touches, verifies every signature,
evaluates session policies and organization denies, pages as AWS pages, injects faults on request
and counts what it was asked.  `world.World` describes an organization, `process.FakeAws` runs one:

    with FakeAws(World.generate(accounts=3)) as aws:
        subprocess.run([...], env=os.environ | aws.environment)
        assert not aws.statistics().bad_signatures
"""
