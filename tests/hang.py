"""How long a test waits before it takes something for hung.

Never a judge of speed: a machine under any load passes. What must come in time is held to the
guest's clock (`max_cycles`) or to a clock of the test's own.
"""

HANG_S = 600.0  # below pytest's own limit of 900 s, so that the test can say what hung
