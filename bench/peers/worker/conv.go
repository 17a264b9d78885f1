package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"trainer/bench"
	"trainer/nn/device"
)

// convShape is one pass of a convolution with stride 1, as convolutions.json and the driver
// write it.
type convShape struct {
	Network string `json:"network,omitempty"` // of the shape, for the table
	N       int    `json:"n"`                 // images
	Size    int    `json:"size"`              // rows and columns of the input
	In      int    `json:"in"`                // channels of the input
	Out     int    `json:"out"`               // filters
	Kernel  int    `json:"kernel"`            // rows and columns of a filter
	Padding int    `json:"padding"`           // zeros on each side
	First   bool   `json:"first,omitempty"`   // no backward pass for the data
	Pass    string `json:"pass,omitempty"`    // forward, backward-data or backward-filter
}

// spec returns the device's spec of the convolution.
func (s convShape) spec() device.Conv2DSpec {
	return device.Conv2DSpec{
		N: s.N, H: s.Size, W: s.Size, InC: s.In, OutC: s.Out, KH: s.Kernel, KW: s.Kernel,
		PadH: s.Padding, PadW: s.Padding, StrideH: 1, StrideW: 1, DilationH: 1, DilationW: 1, Groups: 1,
		NoBackwardData: s.First,
	}
}

// conv answers with the speed of a pass of a convolution.
func conv(d device.Device) command {
	return func(args string) (any, error) {
		seconds, text, _ := strings.Cut(args, " ")
		t, err := parseSeconds(seconds)
		if err != nil {
			return nil, err
		}
		var s convShape
		decoder := json.NewDecoder(bytes.NewReader([]byte(text)))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&s); err != nil {
			return nil, fmt.Errorf("the shape %s: %w", text, err)
		}
		pass, err := newPass(d, s)
		if err != nil {
			return nil, err
		}
		if err := pass(); err != nil { // touches all memory
			return nil, err
		}
		calls, took, err := repeat(t, pass)
		if err != nil {
			return nil, err
		}
		return rate{FLOPs: float64(calls) * float64(s.spec().FLOPs(s.N)) / took.Seconds(), Calls: calls}, nil
	}
}

// newPass returns a function that runs one pass of a convolution once.
func newPass(d device.Device, s convShape) (func() error, error) {
	spec := s.spec()
	p, err := d.NewConv2D(spec)
	if err != nil {
		return nil, err
	}
	var tensors [3]*device.Tensor
	for i, shape := range [][]int{
		{spec.N, spec.H, spec.W, spec.InC},
		{spec.OutC, spec.KH, spec.KW, spec.InC},
		{spec.N, spec.OutH(), spec.OutW(), spec.OutC},
	} {
		if tensors[i], err = bench.RandomTensor(d, shape...); err != nil {
			return nil, err
		}
	}
	x, w, y := tensors[0], tensors[1], tensors[2]
	switch s.Pass {
	case "forward":
		return func() error { p.Forward(y, x, w, nil); return d.Sync() }, nil
	case "backward-data":
		return func() error { p.BackwardData(x, y, w); return d.Sync() }, nil
	case "backward-filter":
		return func() error { p.BackwardFilter(w, nil, y, x); return d.Sync() }, nil
	}
	return nil, fmt.Errorf("pass %q, want forward, backward-data or backward-filter", s.Pass)
}
