# What each sample of a behaviour change is built for: the last release before a change and the first one after it.
# The numbers are those of the table in docs/release-samples.md.
row-01-signals-carry-a-word := 1.0.4 2.0.0
row-02-interrupts-carry-a-word := 1.0.4 2.0.0
row-03-system-call-minus-8 := 1.0.4 2.0.0
row-04-reply-after-a-wait := 1.0.3 1.0.4
row-05-setting-the-buffer-again := 1.0.3 1.0.4
row-06-execute-never := 1.0.3 1.0.4
row-07-receive-only-servers := 2.1.0 3.0.0
row-08-capabilities-to-receive-only-servers := 2.1.0 3.0.0
row-09-interrupt-handler-mode := 1.0.3 1.0.4 2.0.0 2.1.0 3.0.0
row-10-interrupt-numbers-cut-short := 2.1.0 3.0.0 7.0.0 8.0.0
row-11-fault-labels := 3.2.0 4.0.0
row-12-recycle := 1.0.4 2.0.0 3.2.0 4.0.0
row-13-priority-above-ones-own := 3.2.0 4.0.0
row-14-device-memory := 3.2.0 4.0.0
row-15-interruptible-clearing := 3.2.0 4.0.0
row-16-size-of-an-endpoint := 3.2.0 4.0.0 8.0.0 9.0.0
row-17-huge-cnodes := 8.0.0 9.0.0
row-18-own-buffer := 3.2.0 4.0.0
row-19-sending-to-an-equal := 7.0.0 8.0.0
row-20-raising-another := 3.2.0 4.0.0 8.0.0 9.0.0
row-21-priority-without-authority := 8.0.0 9.0.0
row-22-grant-reply := 10.1.1 11.0.0
row-23-capabilities-in-replies := 10.1.1 11.0.0
row-24-cancelling-needs-all-rights := 10.1.1 11.0.0
row-25-suspended-before-it-ran := 10.1.1 11.0.0
row-26-mapping-again := 10.1.1 11.0.0
row-27-register-count := 10.1.1 11.0.0 12.0.0
row-28-untyped-descriptors := 11.0.0 12.0.0
row-29-first-free-slots := 11.0.0 12.0.0 12.1.0 13.0.0
row-30-object-type-5 := 12.1.0 13.0.0
row-31-page-get-address := 12.1.0 13.0.0
row-32-reply-to-nobody := 12.1.0 13.0.0
row-33-label-19 := 13.0.0 14.0.0
row-34-label-37 := 14.0.0 15.0.0
row-35-flushing-what-is-not-mapped := 15.0.0 16.0.0
row-36-top-of-memory := 15.0.0 16.0.0

# Compiled to Thumb code instead of ARM code.
THUMB_ROWS := row-11-fault-labels row-19-sending-to-an-equal row-25-suspended-before-it-ran row-31-page-get-address
