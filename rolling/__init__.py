"""Pure arithmetic of windows: no Flask, no I/O, no clock, no environment.

A timeline is a B+-tree with summaries, in two words of our own: a *block* is its leaf, up to 1,024 events as
columns in order of time, chained to the next; a *deck* is an inner node over up to 32 blocks or decks. Each carries
the exact summary of all below it, so a question merges O(log n) of them and reads events in the blocks it cuts.

view        every series, and all of them as one: what the service holds
span        which events a question is about
window      the timeline of one series                  all_series  that of all, without a second copy of the events
timeline    the tree                                    deck, block its nodes
percentiles which ranks a percentile is                 ranks       the value at a rank: rows, a ladder over them
memory      whose rows are held, and whose go           scan        the same without rows, from every value
history     a window laid out in steps                  grid        where the steps begin
last_of_all the last so many, where each series keeps its own
snapshot    many series, all of one moment              ranking     the first of them by a statistic
suffixes    the tails of blocks that moving windows cut
steps       work in portions                            rows, ladder, cut  what ranks are made of
summary     count, sums, min, max; the statistics       exact       many values summed at once
"""
