//go:build cuda && linux && cgo && (amd64 || arm64)

package gpu

import (
	"encoding/json"
	"fmt"
	"maps"

	"trainer/nn/device"
)

var _ device.AlgorithmChooser = (*Device)(nil)

// Autotune is WithAutotune for the plans that follow.
func (d *Device) Autotune() { d.autotune = true }

// ChosenAlgorithms returns the entries of the cache of algorithms that plans took, as JSON; nil without WithAutotune.
func (d *Device) ChosenAlgorithms() []byte {
	if len(d.algorithms.used) == 0 {
		return nil
	}
	text, err := json.Marshal(d.algorithms.used)
	if err != nil { // numbers and strings have a JSON form
		panic(err)
	}
	return text
}

// KeepAlgorithms makes plans take the entries before those of the user's cache. An entry for another GPU, version of cuDNN
// or set of options applies to no plan; an algorithm that cuDNN no longer has is measured anew.
func (d *Device) KeepAlgorithms(chosen []byte) error {
	var entries map[string]cachedAlgorithm
	if err := json.Unmarshal(chosen, &entries); err != nil {
		return fmt.Errorf("the algorithms of the run: %v", err)
	}
	d.algorithms.known = d.algorithms.read()
	maps.Copy(d.algorithms.known, entries)
	return nil
}
