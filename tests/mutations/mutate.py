"""Do the simulator's checks notice a bug?

Each mutation plants one bug: in one file, one piece of text is replaced. The
file is compiled alone and linked with everything else as it was built, so the
sources that are shipped know nothing of it. Then the simulator runs until a
check fails. A mutation that survives is a check that is missing; one whose
text is not there any more has to be written anew. Both fail this test.

    mutate.py root compiler simulator.a libraries...
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

SEEDS = "2500"

# name, file, what is there, what takes its place.
MUTATIONS = [
    ("a vote counts before it is durable", "replication/quorum_write.c",
     "votes += vote->state == VOTE_DURABLE ||",
     "votes += vote->state != VOTE_FAILED ||"),
    ("an owner counts twice", "replication/quorum_write.c",
     "return votes;", "return 2 * votes;"),
    ("a write that the disk refused counts", "replication/quorum_write.c",
     "if (apply->status == KIST_OK)\n        count",
     "if (apply->status != KIST_UNKNOWN)\n        count"),
    ("what was sent is said not to be applied", "replication/quorum_write.c",
     "write->votes[i].has_left ||",
     "(write->votes[i].state == VOTE_DURABLE) || (false &&\n"
     "                         write->votes[i].has_left) ||"),
    ("a peer acknowledges what its disk refused", "replication/replica.c",
     "item->result.result = FRAME_REFUSED;",
     "item->result.result = FRAME_DURABLE;"),
    ("dead records are filtered before the merge",
     "replication/quorum_read.c",
     "        if (found)\n            consider",
     "        if (found && !record.tombstone)\n            consider"),
    ("absence wins over a record", "replication/quorum_read.c",
     "        if (found)\n            consider(vote, &record);",
     "        if (found)\n            consider(vote, &record);\n"
     "        else\n            vote->read->found = false;"),
    ("the first answer wins", "replication/quorum_read.c",
     "merge_compare(record, &read->record) <= 0",
     "true"),
    ("a failure counts as an answer", "replication/quorum_read.c",
     "return count_in(read, RING_NOW, READ_ANSWERED) >= wanted &&",
     "return count_in(read, RING_NOW, READ_ANSWERED) +\n"
     "               count_in(read, RING_NOW, READ_FAILED) >= wanted ||"),
    ("a read answers before its winner is on a majority",
     "replication/quorum_read.c",
     "read->r < majority(read) ||", "true ||"),
    ("a repair counts before it is durable", "replication/quorum_read.c",
     "return vote->state == READ_ANSWERED && read->found &&",
     "return (vote->state == READ_REPAIRING) ||\n"
     "           vote->state == READ_ANSWERED && read->found &&"),
    ("a repair does not go out", "replication/quorum_read.c",
     "if (read->votes[i].rows != 0 &&",
     "if (read->seat == NULL &&"),
    ("a repair is stamped anew", "replication/quorum_read.c",
     "vote->state = READ_REPAIRING;",
     "vote->state = READ_REPAIRING;\n"
     "    push.record.version.hlc++;"),
    ("a listing shows the oldest record of a key",
     "replication/cluster_scan.c",
     "(way == 0 && version_compare(b->record.version,",
     "(way == 0 && -version_compare(b->record.version,"),
    ("a listing asks one owner of each partition",
     "replication/cluster_scan.c", "while (asked < scan->r)",
     "while (asked < 1)"),
    ("a listing counts who did not answer", "replication/cluster_scan.c",
     "asked += scan->parts[owners[i]].state == PART_AWAITED ||",
     "asked += scan->parts[owners[i]].state != PART_UNASKED ||"),
    ("nothing is compared", "replication/anti_entropy.c",
     "if (!entropy->is_stopped)", "if (false)"),
    ("a comparison brings the older record", "replication/listing.c",
     "-side : version_compare(a->version, b->version);",
     "-side : version_compare(b->version, a->version);"),
    ("a compared record is stamped anew", "replication/exchange_fetch.c",
     "wanted->exchange = exchange;",
     "wanted->exchange = exchange;\n    record.version.hlc++;"),
    ("only whole partitions that one lacks are compared",
     "replication/exchange.c",
     "*out_differs = !bucket_sum_equal(there, env->ops->sum(env, part));",
     "*out_differs = bucket_sum_equal(there, (struct bucket_sum){0}) !=\n"
     "        bucket_sum_equal(env->ops->sum(env, part),\n"
     "                         (struct bucket_sum){0});"),
    ("of partitions that are listed together one is", "replication/replica.c",
     "i < frame->items; i++) {\n        enum kist_status status = list_part(",
     "i < 1; i++) {\n        enum kist_status status = list_part("),
    ("a record counts before its file is there", "replication/replica.c",
     "(struct frame_pushed){.result = FRAME_COMING,",
     "(struct frame_pushed){.result = FRAME_DURABLE,"),
    ("Kist-After is not looked at", "replication/quorum_read.c",
     "return are_enough(read, read->n - read->w + 1);", "return true;"),
    ("the clock's lease is forgotten by a restart",
     "storage/hlc.c", "atomic_init(&hlc->last, lease_ms << 16);",
     "atomic_init(&hlc->last, 0);"),
    ("versions go out beyond the lease", "replication/timekeeper.c",
     "version_ms(version) >= hlc_lease_ms(keeper->hlc)", "false"),
    ("a lease counts before it is durable", "replication/timekeeper.c",
     "keeper->env->ops->lease(keeper->env, &keeper->lease);",
     "hlc_lease_written(keeper->hlc, keeper->lease.lease_ms);\n"
     "    keeper->env->ops->lease(keeper->env, &keeper->lease);"),
    ("a node speaks for one of its loops", "replication/seats.c",
     "if (atomic_load(&all->settled[i]) < phase)", "if (false)"),
    ("messages of the ring before are taken", "replication/replica.c",
     "return FRAME_STALE_RING;", "return FRAME_OK;"),
    ("a new owner votes empty", "replication/transfer.c",
     "        count_bits(part->sources) < needed(transfer->ring) ||\n"
     "        (", "        (false && "),
    ("next owners do not count for writes", "replication/quorum_write.c",
     "votes_in(write, RING_NEXT, awaited) >= write->w;", "true;"),
    ("what was accepted is not asked for again", "replication/change.c",
     "if (change->coming == NULL && decree_is_open",
     "if (false && decree_is_open"),
    ("a ring is forgotten by a restart", "replication/change.c",
     "env->ops->keep(env, &change->keep);",
     "on_kept(&change->keep, KIST_OK);"),
    ("deletions are purged by time alone", "replication/floor.c",
     "    go_to(floor, FRAME_FLOOR_FENCE);\n}",
     "    go_to(floor, FRAME_FLOOR_FLOOR);\n}"),
    ("clients are not held to the fence", "replication/replica.c",
     "? seat->fence", "? VERSION_NONE"),
    ("a closed fence is ignored", "replication/timekeeper.c",
     "return keeper->fence != NULL &&", "return false &&"),
    ("a jump of the clock is not noticed", "replication/fence.c",
     "llabs(apart_ms - was_ms) > FENCE_JUMP_MS", "false"),
    ("a node trusts its clock from the start", "replication/fence.c",
     "fence->verdict = FENCE_UNCONFIRMED;", "fence->verdict = FENCE_OPEN;"),
    ("a write from the far future is taken", "replication/replica.c",
     "return seen || push->source != FRAME_CLIENT;", "return true;"),
    ("a version from the far future is learnt from", "storage/hlc.c",
     "version_ms(seen) > wall_ms + HLC_FUTURE_MS", "false"),
    ("a wiped machine keeps its incarnation", "tests/simulator/machine.c",
     "    if (machine->network->is_founding)\n"
     "        machine->env.self = ++machine->network->incarnations;\n"
     "    else\n"
     "        name_machine(machine);", "    (void)name_machine;"),
    ("another incarnation of its name makes a member",
     "replication/founding.c",
     ": FOUNDING_STRANGER;", ": FOUNDING_MEMBER;"),
    ("whoever has answered once is counted on", "replication/roll.c",
     "standing) == ROLL_ALIVE;", "standing) != ROLL_UNHEARD;"),
    ("one vote makes a ring", "replication/founding.c",
     "if (founding->peers[i].vote != founding->vote)", "if (false)"),
    ("ties go to whoever came first", "storage/merge.c",
     "int result = version_compare(a->version, b->version);",
     "int result = order(a->version.hlc, b->version.hlc);\n\n"
     "    return result;"),
]


def plant(root, folder, file, old, new):
    text = (root / file).read_text()
    if text.count(old) != 1:
        return None
    mutant = folder / Path(file).name
    mutant.write_text(text.replace(old, new))
    return mutant


def sources(root, file, mutant, simulator):
    """The mutant comes before its library, or takes its place among the
    simulator's own files."""
    own = Path("tests/simulator")
    if Path(file).parent != own:
        return [mutant, "-Wl,--whole-archive", simulator,
                "-Wl,--no-whole-archive"]
    return [mutant, *(other for other in sorted((root / own).glob("*.c"))
                      if other.name != mutant.name)]


def verdict(root, compiler, libraries, folder, mutation):
    _, file, old, new = mutation
    mutant = plant(root, folder, file, old, new)
    if mutant is None:
        return "its text is not there exactly once"
    program = folder / "simulate"
    built = subprocess.run(
        [*compiler, "-std=c17", "-O1", "-g", "-D_GNU_SOURCE", "-w",
         f"-I{root}", *sources(root, file, mutant, libraries[0]),
         *libraries[1:], "-lleveldb", "-luv",
         "-lxxhash", "-lpthread", "-o", program],
        capture_output=True, text=True)
    if built.returncode != 0:
        return "does not compile: " + built.stderr.strip()[:300]
    ran = subprocess.run([program, "1", SEEDS], capture_output=True,
                         text=True)
    if ran.returncode == 0:
        return "SURVIVED " + SEEDS + " seeds"
    lines = (ran.stdout + ran.stderr).splitlines()
    if not lines:  # No check did that: what is linked is not of these sources.
        return f"ended with {ran.returncode} without a word"
    return "killed by " + lines[0]


def main(root, compiler, *libraries):
    survivors = 0
    with tempfile.TemporaryDirectory() as folder:
        for mutation in MUTATIONS:
            started = time.monotonic()
            said = verdict(root, compiler.split(), libraries, Path(folder),
                           mutation)
            survivors += not said.startswith("killed")
            print(f"{mutation[0]}: {said} "
                  f"({time.monotonic() - started:.0f} s)", flush=True)
    print(f"{len(MUTATIONS)} mutations, {survivors} not killed")
    return 1 if survivors else 0


sys.exit(main(Path(sys.argv[1]), *sys.argv[2:]))
