package learn

import (
	"encoding/binary"
	"encoding/json"
	"math"
)

// Reply is an answer: JSON, or arrays with the JSON that belongs to them.
type Reply struct {
	Info   any
	Arrays [][]float32
	Binary bool // with Arrays
}

// arrays returns a reply of arrays.
func arrays(info any, arrays ...[]float32) *Reply {
	return &Reply{Info: info, Arrays: arrays, Binary: true}
}

// Encode returns the bytes of a reply. Arrays are binary, because a frame has a hundred thousand values: little-endian, a
// uint32 n, then n bytes of JSON, padded with spaces so that what follows is aligned, then float32 arrays, one after the
// other. The JSON has the arrays' lengths and whatever else belongs to them:
//
//	{"lengths": [784, 13824, ...], "info": ...}
func (r *Reply) Encode() ([]byte, error) {
	if !r.Binary {
		text, err := json.Marshal(r.Info)
		if err != nil {
			return nil, errNotFinite
		}
		return append(text, '\n'), nil
	}
	head := struct {
		Lengths []int `json:"lengths"`
		Info    any   `json:"info"`
	}{Lengths: make([]int, len(r.Arrays)), Info: r.Info}
	total := 0
	for i, a := range r.Arrays {
		head.Lengths[i] = len(a)
		total += len(a)
	}
	text, err := json.Marshal(head)
	if err != nil {
		return nil, errNotFinite
	}
	for len(text)%4 != 0 {
		text = append(text, ' ')
	}
	body := make([]byte, 0, 4+len(text)+4*total)
	body = binary.LittleEndian.AppendUint32(body, uint32(len(text)))
	body = append(body, text...)
	for _, a := range r.Arrays {
		for _, v := range a {
			body = binary.LittleEndian.AppendUint32(body, math.Float32bits(v))
		}
	}
	return body, nil
}
