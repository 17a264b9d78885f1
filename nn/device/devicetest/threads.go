package devicetest

import (
	"bytes"
	"slices"
	"testing"

	"trainer/nn/device"
)

// RunThreads checks that every call gives the same bits on devices with one thread and with several. Results that the
// call doesn't read start as NaN, so that unwritten elements are detected.
func RunThreads(t *testing.T, open func(t *testing.T, threads int) device.Device) {
	want := resultsOf(t, open(t, 1))
	for _, threads := range []int{2, 3, 5} {
		for name, got := range resultsOf(t, open(t, threads)) {
			if !bytes.Equal(got, want[name]) {
				t.Errorf("%s: %d threads give other bits than one", name, threads)
			}
		}
	}
}

// RunCalls runs every call once. It is for devices whose memory detects accesses outside the operands.
func RunCalls(t *testing.T, dev device.Device) { resultsOf(t, dev) }

// resultsOf returns the bytes that each call writes.
func resultsOf(t *testing.T, dev device.Device) map[string][]byte {
	results := map[string][]byte{}
	eachCall(t, dev, func(t *testing.T, name string, w Work) {
		for _, r := range w.Results {
			if !slices.Contains(w.Updated, r) {
				if err := dev.Upload(r, unwritten(r.DType(), r.Len())); err != nil {
					t.Fatal(err)
				}
			}
		}
		w.Run()
		for _, r := range w.Results {
			b := make([]byte, r.Len()*r.DType().Size())
			if err := dev.Download(b, r); err != nil {
				t.Fatal(err)
			}
			results[name] = append(results[name], b...)
		}
	})
	return results
}
