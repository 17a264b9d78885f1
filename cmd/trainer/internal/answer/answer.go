// Package answer is what the program says about a picture as one line of JSON: trainer predict -json prints it, and
// trainer serve sends it.
package answer

import (
	"encoding/json"
	"io"

	"trainer/nn/model"
)

// Picture is the answer for a picture.
type Picture struct {
	Path        string  `json:"path"`                  // of the file, or the name that a client gave it
	Class       string  `json:"class,omitempty"`       // the most probable class
	Probability float64 `json:"probability,omitempty"` // of this class
	Top         []Class `json:"top,omitempty"`         // the most probable classes in falling order
	Error       string  `json:"error,omitempty"`       // why there is no answer
}

// Class is a class and its probability.
type Class struct {
	Index       int     `json:"index"` // among the model's classes
	Class       string  `json:"class"`
	Probability float64 `json:"probability"`
}

// Of returns the answer with the first top of the ranked classes.
func Of(path string, ranked []model.Prediction, top int) Picture {
	p := Picture{Path: path, Class: ranked[0].Name, Probability: ranked[0].Probability}
	for _, c := range ranked[:min(top, len(ranked))] {
		p.Top = append(p.Top, Class{c.Class, c.Name, c.Probability})
	}
	return p
}

// Failed returns the answer for a picture that can't be read.
func Failed(path string, err error) Picture { return Picture{Path: path, Error: err.Error()} }

// Write writes the answer as one line.
func (p Picture) Write(w io.Writer) error { return json.NewEncoder(w).Encode(p) }
