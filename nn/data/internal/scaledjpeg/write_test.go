package scaledjpeg

import (
	"bytes"
	"math/bits"
	"math/rand/v2"
)

// written describes a JPEG file that tests write: any sampling, any coefficients.
type written struct {
	h, w         int
	down, across int // pixels per chroma sample; 0 means a gray picture
	interval     int
	density      float64 // share of the coefficients that are not 0
	size         int     // largest size of a coefficient in bits
	quant        byte    // largest quantization step
	seed         uint64
}

// bytes returns the file. Its samples are noise.
func (f written) bytes() []byte {
	rng := rand.New(rand.NewPCG(f.seed, 1))
	var b bytes.Buffer
	segment := func(mark byte, content []byte) {
		n := len(content) + 2
		b.Write([]byte{0xff, mark, byte(n >> 8), byte(n)})
		b.Write(content)
	}
	b.Write([]byte{0xff, markSOI})
	segment(markAPP0, []byte("JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"))
	quant := make([]byte, 65)
	for i := range 64 {
		quant[1+i] = 1 + byte(rng.IntN(int(f.quant)))
	}
	segment(markDQT, quant)
	frame := []byte{8, byte(f.h >> 8), byte(f.h), byte(f.w >> 8), byte(f.w), 1, 1, 0x11, 0}
	scan := []byte{1, 1, 0, 0, 63, 0}
	blocks := []int{1} // per unit
	unitH, unitW := 8, 8
	if f.down > 0 {
		frame = append(frame[:5], 3, 1, byte(f.across<<4|f.down), 0, 2, 0x11, 0, 3, 0x11, 0)
		scan = []byte{3, 1, 0, 2, 0, 3, 0, 0, 63, 0}
		blocks = []int{f.down * f.across, 1, 1}
		unitH, unitW = 8*f.down, 8*f.across
	}
	segment(markSOF0, frame)
	counts, values := table()
	for _, class := range []byte{0x00, 0x10} {
		segment(markDHT, append(append([]byte{class}, counts[:]...), values...))
	}
	if f.interval > 0 {
		segment(markDRI, []byte{byte(f.interval >> 8), byte(f.interval)})
	}
	segment(markSOS, scan)
	out := bitWriter{b: &b, codes: codes(counts, values)}
	for unit := range ceilDiv(f.h, unitH) * ceilDiv(f.w, unitW) {
		if f.interval > 0 && unit > 0 && unit%f.interval == 0 {
			out.flush()
			b.Write([]byte{0xff, markRST0 + byte(unit/f.interval-1)%8})
		}
		for _, n := range blocks {
			for range n {
				f.block(&out, rng)
			}
		}
	}
	out.flush()
	b.Write([]byte{0xff, markEOI})
	return b.Bytes()
}

// block writes a block of random coefficients.
func (f written) block(out *bitWriter, rng *rand.Rand) {
	random := func() int {
		v := 1 + rng.IntN(1<<(1+rng.IntN(f.size))-1)
		return v * (1 - 2*rng.IntN(2))
	}
	out.value(0, random())
	run := 0
	for range 63 {
		if rng.Float64() >= f.density {
			run++
			continue
		}
		for ; run > 15; run -= 16 {
			out.symbol(0xf0)
		}
		out.value(run, random())
		run = 0
	}
	if run > 0 {
		out.symbol(0)
	}
}

// table returns a Huffman table for every byte, with codes of 2 to 16 bits: more frequent symbols are shorter.
func table() (counts [16]byte, values []byte) {
	counts = [16]byte{0, 1, 2, 3, 4, 4, 4, 6, 8, 10, 20, 30, 40, 40, 40, 44}
	for size := range 16 { // by size, then by run
		for run := range 16 {
			values = append(values, byte(run<<4|size))
		}
	}
	return counts, values
}

// code is a Huffman code of n bits.
type code struct{ bits, n int }

// codes returns the codes of a table.
func codes(counts [16]byte, values []byte) (all [256]code) {
	next, k := 0, 0
	for l, n := range counts {
		for range n {
			all[values[k]] = code{next, l + 1}
			next, k = next+1, k+1
		}
		next <<= 1
	}
	return all
}

// bitWriter writes the bits of a scan.
type bitWriter struct {
	b     *bytes.Buffer
	codes [256]code
	acc   int
	n     int
}

func (w *bitWriter) bits(v, n int) {
	w.acc, w.n = w.acc<<n|v, w.n+n
	for ; w.n >= 8; w.n -= 8 {
		v := byte(w.acc >> (w.n - 8))
		w.b.WriteByte(v)
		if v == 0xff {
			w.b.WriteByte(0)
		}
	}
	w.acc &= 1<<w.n - 1
}

func (w *bitWriter) symbol(s byte) { w.bits(w.codes[s].bits, w.codes[s].n) }

// value writes a coefficient after a run of zeros.
func (w *bitWriter) value(run, v int) {
	size := bits.Len(uint(max(v, -v)))
	w.symbol(byte(run<<4 | size))
	if v < 0 {
		v += 1<<size - 1
	}
	w.bits(v, size)
}

// flush fills the last byte with ones.
func (w *bitWriter) flush() {
	if w.n > 0 {
		w.bits(1<<(8-w.n)-1, 8-w.n)
	}
}
