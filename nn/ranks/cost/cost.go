// Package cost predicts how long a step of data-parallel training takes on several devices, from how long it takes on one
// and from the links between them.
//
// A step computes, sums the gradients over the devices, and updates. The sums of a bucket of gradients can begin while the
// backward pass goes on, which is two thirds of the computation; the last bucket cannot hide. So with n buckets
//
//	step = compute + host + max(sum/n, sum - 2/3 compute (n-1)/n)
//
//	sum  = 2 (r-1)/r bytes/bandwidth + n rounds latency          over the links between r machines, and likewise within each
//
// where bytes is the size of the gradients in float32, 2 (r-1)/r of which every machine must send and receive whatever
// the algorithm (Patarasuk and Yuan, "Bandwidth Optimal All-reduce Algorithms for Clusters of Workstations", JPDC 69, 2009). The
// number of rounds is that of trees, 2 ceil(log2 r), for a library of collectives on GPUs (Sanders, Speck and Träff 2009); the exchange of this
// program's own ranks has 2, in each of which a rank sends r-1 messages. host is the time that a CPU spends to pack, add and unpack
// the gradients; it is not hidden, because the same cores compute.
package cost

import "math"

// Link is a connection between two devices or machines, in each direction.
type Link struct {
	Bandwidth float64 // bytes per second; 0 means that there is nothing to send over it
	Latency   float64 // seconds for a short message
}

// Training is what one device does.
type Training struct {
	Batch           int     // images of a device's step
	ImagesPerSecond float64 // of one device alone, with that batch
	Bytes           float64 // of gradients and running statistics, in float32
	Exchange        bool    // sums are those of this program's ranks on CPUs, not those of a library for GPUs
	HostBandwidth   float64 // bytes per second that a CPU reads and writes; 0: the host moves nothing
}

// Cluster is how devices are connected.
type Cluster struct {
	Between    Link // the machines
	Inside     Link // the devices of a machine
	PerMachine int  // devices of a machine; at least 1
}

// Step is a prediction for a number of devices.
type Step struct {
	Devices  int
	Compute  float64 // seconds
	Sum      float64 // seconds that the sums take, hidden or not
	Exposed  float64 // seconds of it that training waits
	Host     float64 // seconds for packing and adding on a CPU
	Sent     float64 // bytes that each machine, or without a link between machines each device, sends
	Batch    int     // images of all devices
	PerImage float64 // seconds per image of all devices
}

// BucketBytes is the size of a bucket of gradients, as in package train.
const BucketBytes = 1 << 20

// backwardShare is the share of the backward pass in a step's computation: it has twice the products of the forward pass.
const backwardShare = 2.0 / 3

// hostPasses is how often each byte is read or written by a CPU that packs, sends to itself, adds and unpacks.
const hostPasses = 8

// buckets returns the number of buckets.
func (t Training) buckets() float64 { return math.Max(1, math.Floor(t.Bytes/BucketBytes)) }

// sum returns the seconds for sums over r devices or machines that a link connects, and the bytes that each sends.
func (t Training) sum(r int, l Link) (seconds, bytes float64) {
	if r < 2 || l.Bandwidth == 0 {
		return 0, 0
	}
	rounds := 2 * math.Ceil(math.Log2(float64(r)))
	if t.Exchange {
		rounds = 2
	}
	bytes = 2 * float64(r-1) / float64(r) * t.Bytes
	return bytes/l.Bandwidth + t.buckets()*rounds*l.Latency, bytes
}

// On predicts a step on a number of devices, each with a batch of its own.
func (t Training) On(devices int, c Cluster) Step {
	machines := (devices + c.PerMachine - 1) / c.PerMachine
	inside, sentInside := t.sum(min(devices, c.PerMachine), c.Inside)
	between, sent := t.sum(machines, c.Between)
	s := Step{
		Devices: devices, Batch: devices * t.Batch, Compute: float64(t.Batch) / t.ImagesPerSecond, Sum: inside + between, Sent: sent,
	}
	if sent == 0 {
		s.Sent = sentInside
	}
	if devices > 1 {
		n := t.buckets()
		s.Exposed = math.Max(s.Sum/n, s.Sum-backwardShare*s.Compute*(n-1)/n)
		if t.HostBandwidth > 0 {
			s.Host = hostPasses * t.Bytes / t.HostBandwidth
		}
	}
	s.PerImage = s.Seconds() / float64(s.Batch)
	return s
}

// Seconds returns the time of the step.
func (s Step) Seconds() float64 { return s.Compute + s.Host + s.Exposed }

// Efficiency returns the share of a step in which devices compute.
func (s Step) Efficiency() float64 { return s.Compute / s.Seconds() }
