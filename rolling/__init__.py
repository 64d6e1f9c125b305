"""Pure arithmetic of windows: no Flask, no I/O, no clock, no environment.

A timeline is a B+-tree with summaries, in two words of our own: a *block* is its leaf, up to 1,024 events as
columns in order of time; a *deck* is an inner node over up to 32 blocks or decks. Each carries
the exact summary of all below it, so a question merges O(log n) of them and reads events in the blocks it cuts.
A snapshot costs a copy of the map of series; whoever writes while it lives copies the path to what is written to.

view        every series, and all of them as one: what the service holds, and snapshots of it
reading     questions to either                         span        the events of a question
epochs      copy on write: what a snapshot has too is copied before it is changed
window      the timeline of one series                  all_series  that of all, without a second copy of the events
timeline    questions to a tree of events               tree        the structure of blocks and decks
deck, block its nodes                                   cut         a range, in decks and blocks
percentiles the ranks of a percentile                   ranks       the value at a rank: sorted runs, a scale over them
runs        sorted values of decks                      scan        the same without runs, from every value
history     a window laid out in steps                  grid        where the steps begin
last_of_all the last events of all, where each series keeps its own
suffixes    the tails of blocks that moving windows cut ranking     the first of many series by a statistic
steps       long work: writers yield, readers pause     recent      a bounded cache
summary     count, sums, min, max; the statistics       exact       many values summed at once
"""
