//go:build cuda && linux && cgo && (amd64 || arm64)

package gpu

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	cudnn "gorgonia.org/cu/dnn"

	"trainer/gpu/internal/cuda"
	"trainer/nn/bounded"
	"trainer/nn/device"
)

// algorithmCache is the file with the results of WithAutotune: for each GPU, version of cuDNN, convolution and set of
// relevant options, it has the fastest algorithm, and whether that algorithm or a graph engine was faster. If the file
// can't be read or written, the only cost is the time to measure again.
type algorithmCache struct {
	file  string // "" if there is no folder for it
	setup string // the part of the keys that is the same for all convolutions
	known map[string]cachedAlgorithm
	used  map[string]cachedAlgorithm // the entries that plans of this device took
}

// maxAlgorithmCache is the largest file that is read, in bytes; a convolution takes 300.
const maxAlgorithmCache = 16 << 20

// cachedAlgorithm is one entry of the file.
type cachedAlgorithm struct {
	Algorithm     int           `json:"algorithm"`
	Math          int           `json:"math"`
	Workspace     int64         `json:"workspace"`
	Deterministic bool          `json:"deterministic"`
	Time          time.Duration `json:"nanoseconds"` // 0 means that no algorithm was measured
	Winner        *cachedWinner `json:"winner,omitempty"`
}

// cachedWinner records which implementation was fastest when algorithms and graphs were measured. A graph is identified
// by its engine's place among the heuristics' proposals.
type cachedWinner struct {
	Graph    bool          `json:"graph"`
	Engine   int           `json:"engine,omitempty"`
	Place    int           `json:"place,omitempty"`
	Fallback bool          `json:"fallback,omitempty"` // from the fallback heuristics
	Fused    bool          `json:"fused,omitempty"`    // with bias and activation
	Own      bool          `json:"own,omitempty"`      // of a convolution with pooling: conv_small.cu
	Time     time.Duration `json:"nanoseconds"`
}

func newAlgorithmCache(gpu string, o options) *algorithmCache {
	c := &algorithmCache{used: map[string]cachedAlgorithm{}}
	if dir, err := os.UserCacheDir(); err == nil {
		c.file = filepath.Join(dir, "trainer", "cudnn-algorithms.json")
	}
	c.setup = fmt.Sprintf("%s, cuDNN %d, deterministic %v, workspace %d", gpu, cuda.CuDNNVersion(), o.deterministic, o.workspaceLimit)
	return c
}

// key names a pass of a convolution whose operands are multiplied in the precision products, on this GPU with these
// options.
func (c *algorithmCache) key(pass cuda.Pass, products Precision, s device.Conv2DSpec) string {
	return fmt.Sprintf("%s, %v, %v, x %dx%dx%dx%d, w %dx%dx%dx%d, stride %dx%d, padding %dx%d, dilation %dx%d, groups %d", c.setup, pass, products,
		s.N, s.H, s.W, s.InC, s.OutC, s.KH, s.KW, s.InC/s.Groups, s.StrideH, s.StrideW, s.PadH, s.PadW, s.DilationH, s.DilationW, s.Groups)
}

// get returns an earlier measurement.
func (c *algorithmCache) get(key string) (a cuda.Algorithm, ok bool) {
	if c.known == nil {
		c.known = c.read()
	}
	e, ok := c.known[key]
	if ok {
		c.used[key] = e
	}
	return cuda.Algorithm{
		Number: e.Algorithm, Math: cudnn.MathType(e.Math), Workspace: e.Workspace, Time: e.Time, Deterministic: e.Deterministic,
	}, ok && e.Time > 0
}

// winner returns the fastest implementation of an earlier measurement; nil if unknown.
func (c *algorithmCache) winner(key string) *cachedWinner {
	if c.known == nil {
		c.known = c.read()
	}
	e := c.known[key]
	if e.Winner != nil {
		c.used[key] = e
	}
	return e.Winner
}

// winnerOf describes a graph, or with nil the algorithm.
func winnerOf(g *graphPass, took time.Duration) cachedWinner {
	if g == nil {
		return cachedWinner{Time: took}
	}
	return cachedWinner{
		Graph: true, Engine: g.engine.Number, Place: g.engine.Place, Fallback: g.engine.Heuristics == cuda.Fallback, Fused: g.fused, Time: took,
	}
}

// putWinner stores the fastest implementation, also in the file.
func (c *algorithmCache) putWinner(key string, w cachedWinner) {
	c.known = c.read()
	e := c.known[key]
	e.Winner = &w
	c.known[key], c.used[key] = e, e
	c.write()
}

// put stores a measurement, also in the file.
func (c *algorithmCache) put(key string, a cuda.Algorithm) {
	c.known = c.read() // includes what other processes have added
	c.known[key] = cachedAlgorithm{a.Number, int(a.Math), a.Workspace, a.Deterministic, a.Time, nil}
	c.used[key] = c.known[key]
	c.write()
}

// read returns the file's entries, or none if the file can't be read.
func (c *algorithmCache) read() map[string]cachedAlgorithm {
	known := map[string]cachedAlgorithm{}
	text, err := bounded.ReadFile(context.Background(), c.file, maxAlgorithmCache)
	if err != nil || json.Unmarshal(text, &known) != nil || known == nil {
		known = map[string]cachedAlgorithm{}
	}
	for key, e := range c.known {
		known[key] = e
	}
	return known
}

// write replaces the file as a whole, so that no reader sees a part of it.
func (c *algorithmCache) write() {
	text, err := json.MarshalIndent(c.known, "", "\t")
	if err != nil || c.file == "" || os.MkdirAll(filepath.Dir(c.file), 0o755) != nil {
		return
	}
	f, err := os.CreateTemp(filepath.Dir(c.file), "cudnn-algorithms-*")
	if err != nil {
		return
	}
	_, err = f.Write(append(text, '\n'))
	if closed := f.Close(); err != nil || closed != nil || os.Rename(f.Name(), c.file) != nil {
		os.Remove(f.Name())
	}
}
