"""All that goes wrong, on purpose, and what may go wrong together."""

from change_faults import Change
from clock_faults import Drift, Freeze, Jump, StepBack
from disk_faults import Damage, DiskError, Full, NoSpace, SlowSync
from link_faults import Blackout, Cut, Mute, OneWay, Slow, Split, Stall
from node_faults import Crash, Pause, Starve

# Each of them has the life of a process in its hand, so one at a time.
OF_LIVES = [Change, Crash, Pause, Starve, Full, DiskError, Damage, StepBack]
OF_MACHINES = [Jump, Drift, Freeze, SlowSync, NoSpace]
OF_LINKS = [OneWay, Mute, Split, Stall, Slow, Cut]
GROUPS = [OF_LIVES, OF_MACHINES, OF_LINKS]
MENU = [*OF_LIVES, *OF_MACHINES, *OF_LINKS, Blackout]
PARTS = 3


def menu(may_mount, only):
    """only: names of kinds; none: all."""
    return [kind for kind in MENU if (may_mount or kind is not NoSpace) and
            (not only or kind.__name__ in only)]


def companion(kind, kinds, chance):
    """One of another group; None: it comes alone."""
    others = [other for group in GROUPS if kind not in group
              for other in group if other in kinds]
    return chance.choice(others) if others and kind is not Blackout else None


def together(kinds):
    """A change begins before, and ends after, what stands in its way."""
    return sorted(kinds, key=lambda kind: kind is not Change)


def order(kinds, first, chance):
    """All: those of one third first. So three runs are sure of all of them."""
    mine = [kind for kind in kinds if MENU.index(kind) % PARTS == first % PARTS]
    rest = [kind for kind in kinds if kind not in mine]
    return chance.sample(mine, len(mine)) + chance.sample(rest, len(rest))
