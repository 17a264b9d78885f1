"""Print what TensorBoard reads in a folder of event files: for each tag the steps, and what the values are."""
import sys

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

events = EventAccumulator(sys.argv[1], size_guidance={"scalars": 0, "histograms": 0, "images": 0})
events.Reload()
tags = events.Tags()


def steps(list):
    return " ".join(str(e.step) for e in list)


for tag in sorted(tags["scalars"]):
    print(tag, steps(events.Scalars(tag)))
for tag in sorted(tags["histograms"]):
    list = events.Histograms(tag)
    for e in list:
        h = e.histogram_value
        assert h.num == sum(h.bucket) and h.min <= h.max and len(h.bucket) == len(h.bucket_limit), (tag, h)
    print(tag, steps(list) + ":", " ".join("%g" % e.histogram_value.num for e in list))
for tag in sorted(tags["images"]):
    list = events.Images(tag)
    print(tag, steps(list) + ":", " ".join("%dx%d" % (e.width, e.height) for e in list))
