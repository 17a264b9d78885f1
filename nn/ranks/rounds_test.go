package ranks

import (
	"fmt"
	"testing"

	"trainer/cpu"
	"trainer/nn/device"
	"trainer/nn/device/devicetest"
)

// TestRounds passes the suite with rounds so small that most tensors are cut.
func TestRounds(t *testing.T) {
	devicetest.RunCollective(t, func(t *testing.T, size int) (all []devicetest.CollectiveRank) {
		for _, transport := range NewGoroutines(size) {
			dev := openCPU(t)
			c := New(transport, dev).(*collective)
			c.perRound = 64
			all = append(all, devicetest.CollectiveRank{Collective: c, Device: dev, Abort: transport.Abort})
		}
		return all
	}, 1, 2, 3)
}

// notCut is a device whose tensors can't be cut, and which only its goroutine uses.
type notCut struct{ device.Memory }

// TestOneRound passes the suite with such a device.
func TestOneRound(t *testing.T) {
	devicetest.RunCollective(t, func(t *testing.T, size int) (all []devicetest.CollectiveRank) {
		for _, transport := range NewGoroutines(size) {
			dev := openCPU(t)
			all = append(all, devicetest.CollectiveRank{Collective: New(transport, notCut{dev}), Device: dev, Abort: transport.Abort})
		}
		return all
	}, 2, 3)
}

func openCPU(t *testing.T) device.Device {
	dev, err := cpu.New(cpu.WithThreads(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dev.Close() })
	return dev
}

// TestCut: the parts follow one another, begin where a slice can, and are as long as they may.
func TestCut(t *testing.T) {
	dev := openCPU(t)
	for _, c := range []struct {
		lengths []int
		most    int
		want    string
	}{
		{[]int{3, 5}, 128, "[[3 5]]"},
		{[]int{128, 1}, 128, "[[128] [1]]"},
		{[]int{300}, 128, "[[128] [128] [44]]"},
		{[]int{300}, 190, "[[128] [128] [44]]"},
		{[]int{100, 100, 28}, 128, "[[100] [100 28]]"},
		{[]int{10, 200}, 128, "[[10 64] [128] [8]]"},
		{[]int{64}, 1, "[[64]]"},
		{nil, 128, "[[]]"},
	} {
		var tensors []*device.Tensor
		for _, n := range c.lengths {
			x, err := dev.NewTensor(device.Float32, n)
			if err != nil {
				t.Fatal(err)
			}
			tensors = append(tensors, x)
		}
		got := [][]int{}
		for _, round := range cut(dev, tensors, c.most) {
			list := []int{}
			for _, x := range round {
				list = append(list, x.Len())
			}
			got = append(got, list)
		}
		if fmt.Sprint(got) != c.want {
			t.Errorf("%v in rounds of %d: %v, want %s", c.lengths, c.most, got, c.want)
		}
	}
}
