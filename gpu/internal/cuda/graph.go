//go:build cuda && linux && cgo && (amd64 || arm64)

package cuda

// #include "shim.h"
import "C"

import "gorgonia.org/cu"

// Graph is work recorded from a stream, which is launched as a whole.
type Graph struct{ exec C.CUgraphExec }

// BeginCapture makes the stream record the work queued on it, instead of running it, until
// EndCapture. Meanwhile, calls that can't be recorded, such as allocations and waits, fail on
// this thread and invalidate the recording.
func BeginCapture(s cu.Stream) error {
	return cudaError("recording a stream",
		C.cuStreamBeginCapture_v2(streamHandle(s), C.CU_STREAM_CAPTURE_MODE_THREAD_LOCAL))
}

// EndCapture ends the recording, even an invalid one, and returns the recorded work.
func EndCapture(s cu.Stream) (*Graph, error) {
	var recorded C.CUgraph
	if err := cudaError("ending the recording of a stream", C.cuStreamEndCapture(streamHandle(s), &recorded)); err != nil {
		return nil, err
	}
	g := &Graph{}
	// cuGraphInstantiate has changed its signature in CUDA 12; this one is in 11.4 and all later.
	err := cudaError("preparing recorded work", C.cuGraphInstantiateWithFlags(&g.exec, recorded, 0))
	if e := cudaError("destroying a graph", C.cuGraphDestroy(recorded)); err == nil && e != nil {
		err = e
	}
	if err != nil {
		if g.exec != nil {
			C.cuGraphExecDestroy(g.exec)
		}
		return nil, err
	}
	return g, nil
}

// Upload queues sending the graph to the device, so that its first launch is as fast as
// later ones.
func (g *Graph) Upload(s cu.Stream) error {
	return cudaError("uploading recorded work", C.cuGraphUpload(g.exec, streamHandle(s)))
}

// Launch queues the recorded work once.
func (g *Graph) Launch(s cu.Stream) error {
	return cudaError("launching recorded work", C.cuGraphLaunch(g.exec, streamHandle(s)))
}

// Destroy frees the graph. None of its launches may still be running.
func (g *Graph) Destroy() error {
	exec := g.exec
	g.exec = nil
	if exec == nil {
		return nil
	}
	return cudaError("destroying recorded work", C.cuGraphExecDestroy(exec))
}
