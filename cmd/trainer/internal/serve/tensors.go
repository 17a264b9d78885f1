package serve

import (
	"encoding/binary"
	"encoding/json"
	"math"
	"net/http"
)

// Tensors go to the page as bytes, because a frame has a hundred thousand values: little-endian, a uint32 n, then n bytes of
// JSON, padded with spaces so that what follows is aligned, then float32 arrays, one after the other. The JSON has the
// arrays' lengths and whatever else belongs to them:
//
//	{"lengths": [784, 13824, ...], "info": ...}

// sendTensors writes arrays and what belongs to them.
func (s *Server) sendTensors(w http.ResponseWriter, r *http.Request, info any, arrays [][]float32) {
	head := struct {
		Lengths []int `json:"lengths"`
		Info    any   `json:"info"`
	}{Lengths: make([]int, len(arrays)), Info: info}
	total := 0
	for i, a := range arrays {
		head.Lengths[i] = len(a)
		total += len(a)
	}
	text, err := json.Marshal(head)
	if err != nil {
		s.send(w, r, errNotFinite)
		return
	}
	for len(text)%4 != 0 {
		text = append(text, ' ')
	}
	body := make([]byte, 0, 4+len(text)+4*total)
	body = binary.LittleEndian.AppendUint32(body, uint32(len(text)))
	body = append(body, text...)
	for _, a := range arrays {
		for _, v := range a {
			body = binary.LittleEndian.AppendUint32(body, math.Float32bits(v))
		}
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	_, _ = w.Write(body) // a client that is gone is no error
}

// errNotFinite is the answer if a number is infinite or NaN, which JSON can't express.
var errNotFinite error = &refusal{http.StatusUnprocessableEntity, "number", "the numbers are not finite: undo the last step, or draw another picture"}
