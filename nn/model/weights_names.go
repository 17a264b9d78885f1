package model

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// Other programs have other names for the same layers.

// namesOf returns the names that a tensor of a network can have in a file: its own, that of the exporter to PyTorch, and
// that of torchvision and timm if the network has the names of the recipe resnet18.
func namesOf(name string) []string {
	names := []string{name}
	layer, tensor := cutLast(name)
	if exported := pythonName(layer) + "." + tensor; exported != name {
		names = append(names, exported)
	}
	if resnet := torchvisionName(name); resnet != name {
		names = append(names, resnet)
	}
	return names
}

// cutLast cuts a name at its last dot: "block1.conv2" and "weight".
func cutLast(name string) (layer, tensor string) {
	at := strings.LastIndexByte(name, '.')
	return name[:max(at, 0)], name[at+1:]
}

var notPython = regexp.MustCompile(`[^A-Za-z0-9_]`)

// pythonName returns the attribute that the exporter to PyTorch makes of a layer's name.
func pythonName(layer string) string { return notPython.ReplaceAllString(layer, "_") }

// blockName is the name of a tensor in block n of stage s of a residual network.
var blockName = regexp.MustCompile(`^layer(\d+)-(\d+)\.(body|shortcut)\.(.+)$`)

// torchvisionName returns the name in torchvision's and timm's residual networks: layer2-0.body.conv1.weight is called
// layer2.0.conv1.weight, and the convolution and the normalisation of a shortcut are downsample.0 and downsample.1.
func torchvisionName(name string) string {
	m := blockName.FindStringSubmatch(name)
	if m == nil {
		return name
	}
	rest := m[4]
	if m[3] == "shortcut" {
		layer, tensor := cutLast(rest)
		rest = map[string]string{"conv": "downsample.0.", "bn": "downsample.1."}[layer] + tensor
	}
	return "layer" + m[1] + "." + m[2] + "." + rest
}

// wrappers are the beginnings of all names in a file of a model that was wrapped: by DataParallel, by torch.compile, in a
// training framework's module.
func wrappers() []string { return []string{"module.", "_orig_mod.", "model.", "network.", "net."} }

// unwrapped returns the beginning that all tensors' names share because the model was wrapped, or "".
func unwrapped(tensors []weight) string {
	prefix := ""
	for again := true; again; {
		again = false
		for _, p := range wrappers() {
			if allBegin(tensors, prefix+p) {
				prefix, again = prefix+p, true
			}
		}
	}
	return prefix
}

func allBegin(tensors []weight, prefix string) bool {
	for _, t := range tensors {
		if !strings.HasPrefix(t.name, prefix) {
			return false
		}
	}
	return len(tensors) > 0
}

// Rename gives tensors of the file the names of a network. The keys are names of tensors in the file, or of layers, all of
// whose tensors are renamed; the longest that fits counts. It returns an error for a key that no tensor has, and if two
// tensors get the same name.
func (w *Weights) Rename(names map[string]string) error {
	used := map[string]bool{}
	taken := map[string]string{}
	renamed := slices.Clone(w.tensors)
	for i := range renamed {
		t := &renamed[i]
		before := t.name
		for from := before; from != ""; from, _ = cutLast(from) {
			if to, ok := names[from]; ok {
				t.name, used[from] = to+strings.TrimPrefix(before, from), true
				break
			}
		}
		if other, ok := taken[t.name]; ok {
			return fmt.Errorf("%s and %s would both be %s", other, before, t.name)
		}
		taken[t.name] = before
	}
	for _, from := range slices.Sorted(maps.Keys(names)) {
		if !used[from] {
			return fmt.Errorf("%s has no tensor %s", w.path, from)
		}
	}
	w.tensors = renamed
	return nil
}
