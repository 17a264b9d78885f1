package vector

import (
	"math/rand/v2"
	"slices"
	"testing"
	"unsafe"
)

// Stores that bypass the caches change no bit of the result, and write nothing else.
func TestStreamedBands(t *testing.T) {
	for _, k := range available() {
		t.Run(k.Name, func(t *testing.T) {
			for _, c := range []int{16, 32, 48} {
				for rows := 1; rows <= 9; rows++ {
					for pixels := 3; pixels <= 10; pixels++ {
						for edges := range 16 {
							compareStreamed(t, k, c, rows, pixels, edges)
						}
					}
				}
			}
		})
	}
}

// compareStreamed computes a band with and without Stream. The bits of edges say on which sides x is larger than y.
func compareStreamed(t *testing.T, k *Kernels, c, rows, pixels, edges int) {
	t.Helper()
	rng := rand.New(rand.NewPCG(uint64(rows), uint64(pixels)))
	g := Band{
		Rows: rows, Pixels: pixels, Channels: c, Step: c, YRow: pixels * c, XRow: (pixels + 2) * c, X: (pixels + 3) * c, WRow: 3 * c, WTap: c,
		Above: edges&1 != 0, Below: edges&2 != 0, Before: edges&4 != 0, After: edges&8 != 0,
	}
	x, w, bias := make([]float32, (rows+2)*g.XRow), make([]float32, 9*c), make([]float32, c)
	for _, s := range [][]float32{x, w, bias} {
		for i := range s {
			s[i] = float32(rng.NormFloat64())
		}
	}
	want, got := ofLines(rows*g.YRow), ofLines(rows*g.YRow)
	k.Correlate3x3(want, bias, x, w, &g)
	g.Stream = true
	if k.Name == "avx512" && pixels >= tileColumns && !g.streamed(got, 16) {
		t.Fatalf("%+v isn't streamed", g)
	}
	k.Correlate3x3(got, bias, x, w, &g)
	if !slices.Equal(want, got) {
		t.Fatalf("%+v: other results if y bypasses the caches", g)
	}
}

// ofLines returns n elements that begin with a cache line.
func ofLines(n int) []float32 {
	s := make([]float32, n+16)
	at := 0
	for uintptr(unsafe.Pointer(&s[at]))%64 != 0 {
		at++
	}
	return s[at : at+n : at+n]
}
