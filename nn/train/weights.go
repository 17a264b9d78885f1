package train

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"trainer/nn"
	"trainer/nn/device"
	"trainer/nn/folder"
	"trainer/nn/optim"
	"trainer/nn/printable"
	"trainer/nn/train/internal/safetensors"
)

// optimizerPrefix is the prefix of the names of the optimiser's tensors in a checkpoint, and scalingName is the name of
// the loss scaling's state.
const (
	optimizerPrefix = "optimizer/"
	scalingName     = "loss_scaling"
)

// ErrDamaged reports a weights file or checkpoint that differs from what was written: it is
// truncated, altered or a different file.
var ErrDamaged = safetensors.ErrDamaged

// SaveWeights writes the network's parameters and running statistics to path in the
// safetensors format, under their names (convolution [outC,kH,kW,inC/groups], dense
// [in,out], otherwise [c], all float32), with meta, which may be nil, as metadata.
// Afterwards the file is complete or, after an error, unchanged.
func SaveWeights(path string, net *nn.Network, meta map[string]string) error {
	dir, err := folder.Make(filepath.Dir(path))
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	defer dir.Close()
	return SaveWeightsIn(dir.Root(), filepath.Base(path), net, meta)
}

// SaveWeightsIn is SaveWeights for a file in an open folder.
func SaveWeightsIn(root *os.Root, name string, net *nn.Network, meta map[string]string) error {
	return writeTensors(folder.In(root), name, net.Device(), networkTensors(net), nil, meta)
}

// CopyWeights returns the network's parameters and running statistics, for a file that is written while the network goes on.
// SaveTensorsIn writes the same file from them as SaveWeightsIn from the network.
func CopyWeights(net *nn.Network) ([]NamedValues, error) {
	var list []NamedValues
	for _, t := range networkTensors(net) {
		v := NamedValues{Name: t.Name, Shape: t.Tensor.Shape(), Values: make([]float32, t.Tensor.Len())}
		if err := net.Device().Download(device.Bytes(v.Values), t.Tensor); err != nil {
			return nil, fmt.Errorf("%s: %w", t.Name, err)
		}
		list = append(list, v)
	}
	return list, nil
}

// SaveTensorsIn writes float32 tensors as SaveWeightsIn does.
func SaveTensorsIn(root *os.Root, name string, list []NamedValues, meta map[string]string) error {
	return writeTensors(folder.In(root), name, nil, nil, list, meta)
}

// LoadWeights loads the network's weights from a checkpoint or a file that SaveWeights
// wrote. The file must have a tensor of the right shape for each tensor of the network, and
// no other tensors; otherwise the network is unchanged.
func LoadWeights(path string, net *nn.Network) error {
	f, err := openTensors(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return loadWeights(path, f, net)
}

// LoadWeightsIn is LoadWeights for a file in an open folder, which may come from a stranger: a link that leads out of the
// folder is an error.
func LoadWeightsIn(root *os.Root, name string, net *nn.Network) error {
	in := folder.In(root)
	file, err := in.Open(name)
	if err != nil {
		return fmt.Errorf("reading weights: %w", err)
	}
	f, err := safetensors.New(file, in.File(name))
	if err != nil {
		return fmt.Errorf("reading weights: %w", err)
	}
	defer f.Close()
	return loadWeights(in.File(name), f, net)
}

func loadWeights(path string, f *safetensors.File, net *nn.Network) error {
	return readTensors(path, f, net.Device(), networkTensors(net), func(name string) bool {
		return name != scalingName && !strings.HasPrefix(name, optimizerPrefix) && !isBest(name)
	})
}

// NamedValues is a tensor for SaveTensors.
type NamedValues struct {
	Name   string
	Shape  []int
	Values []float32
}

// SaveTensors writes float32 tensors to path in the safetensors format, with meta, which may be nil, as metadata.
// Afterwards the file is complete or, after an error, unchanged.
func SaveTensors(path string, list []NamedValues, meta map[string]string) error {
	dir, err := folder.Make(filepath.Dir(path))
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	defer dir.Close()
	tensors := make([]safetensors.Tensor, len(list))
	for i, t := range list {
		tensors[i] = safetensors.Tensor{Name: t.Name, DType: "F32", Shape: t.Shape}
	}
	return dir.Replace(filepath.Base(path), func(f *os.File) error {
		return safetensors.Write(f, tensors, meta, func(i int) ([]byte, error) { return device.Bytes(list[i].Values), nil })
	})
}

// WeightsMetadata returns the metadata of a checkpoint or a weights file, after checking the file. The error for a
// damaged file is ErrDamaged.
func WeightsMetadata(path string) (map[string]string, error) {
	f, err := openTensors(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return f.Metadata(), nil
}

// RewriteMetadata replaces the metadata of a weights file. The tensors stay as they are. Afterwards the file is complete
// or, after an error, unchanged.
func RewriteMetadata(path string, meta map[string]string) error {
	f, err := openTensors(path)
	if err != nil {
		return err
	}
	defer f.Close()
	tensors := f.Tensors()
	meta = maps.Clone(meta)
	meta["precision"] = device.Float32.String()
	dir, err := folder.Open(filepath.Dir(path))
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	defer dir.Close()
	return dir.Replace(filepath.Base(path), func(out *os.File) error {
		return safetensors.Write(out, tensors, meta, func(i int) ([]byte, error) {
			size, err := tensors[i].Bytes()
			if err != nil {
				return nil, err
			}
			b := make([]byte, size)
			return b, f.Read(tensors[i].Name, b)
		})
	})
}

// networkTensors returns parameters and state, keyed by their names in a file.
func networkTensors(net *nn.Network) []optim.Named {
	var list []optim.Named
	for _, p := range slices.Concat(net.Params(), net.State()) {
		list = append(list, optim.Named{Name: p.Name, Tensor: p.Value})
	}
	return list
}

// writeTensors writes float32 tensors, those of the device one at a time, and then those of the host.
func writeTensors(dir *folder.Folder, name string, dev device.Device, list []optim.Named, host []NamedValues, meta map[string]string) error {
	tensors := make([]safetensors.Tensor, len(list), len(list)+len(host))
	largest := 0
	for i, t := range list {
		tensors[i] = safetensors.Tensor{Name: t.Name, DType: "F32", Shape: t.Tensor.Shape()}
		largest = max(largest, t.Tensor.Len())
	}
	for _, t := range host {
		tensors = append(tensors, safetensors.Tensor{Name: t.Name, DType: "F32", Shape: t.Shape})
	}
	buffer := make([]float32, largest)
	meta = maps.Clone(meta)
	if meta == nil {
		meta = map[string]string{}
	}
	meta["precision"] = device.Float32.String()
	return dir.Replace(name, func(f *os.File) error {
		return safetensors.Write(f, tensors, meta, func(i int) ([]byte, error) {
			if i >= len(list) {
				return device.Bytes(host[i-len(list)].Values), nil
			}
			b := device.Bytes(buffer[:list[i].Tensor.Len()])
			return b, dev.Download(b, list[i].Tensor)
		})
	})
}

// openTensors opens and checks a file.
func openTensors(path string) (*safetensors.File, error) {
	f, err := safetensors.Open(path)
	if err != nil {
		return nil, fmt.Errorf("reading weights: %w", err)
	}
	return f, nil
}

// readTensors uploads the tensors of list from the file, after checking that the file has
// all of them, and no others among the names that count.
func readTensors(path string, f *safetensors.File, dev device.Device, list []optim.Named, counts func(name string) bool) error {
	if diff := compareTensors(f, list, counts); len(diff) > 0 {
		return &MismatchError{Path: path, Differences: diff}
	}
	for _, t := range list {
		n := 1
		for _, size := range wholeShape(t) {
			n *= size
		}
		buffer := make([]float32, n)
		if err := f.Read(t.Name, device.Bytes(buffer)); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		if t.Piece != nil {
			buffer = buffer[t.Piece.From : t.Piece.From+t.Tensor.Len()]
		}
		if err := dev.Upload(t.Tensor, device.Bytes(buffer)); err != nil {
			return fmt.Errorf("%s: %s: %w", path, t.Name, err)
		}
	}
	return nil
}

// wholeShape returns the shape of the tensor that t is, or is a piece of.
func wholeShape(t optim.Named) []int {
	if t.Piece != nil {
		return t.Piece.Shape
	}
	return t.Tensor.Shape()
}

// compareTensors returns the differences between the file's tensors and the wanted tensors.
func compareTensors(f *safetensors.File, list []optim.Named, counts func(name string) bool) []string {
	has := map[string]safetensors.Tensor{}
	for _, t := range f.Tensors() {
		if counts(t.Name) {
			has[t.Name] = t
		}
	}
	var diff []string
	for _, t := range list {
		got, ok := has[t.Name]
		delete(has, t.Name)
		switch {
		case !ok:
			diff = append(diff, "the file has no "+t.Name)
		case got.DType != "F32" || !slices.Equal(got.Shape, wholeShape(t)):
			diff = append(diff, fmt.Sprintf("%s is %s%v in the file and F32%v in the network", t.Name, got.DType, got.Shape, wholeShape(t)))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(has)) {
		diff = append(diff, "the network has no "+name)
	}
	return diff
}

// MismatchError reports a file that belongs to another network or another training.
type MismatchError struct {
	Path        string
	Differences []string // each a clause, such as "seed is 2, in the checkpoint 1"
}

func (e *MismatchError) Error() string {
	const shown = 3
	text := strings.Join(e.Differences[:min(shown, len(e.Differences))], "; ")
	if more := len(e.Differences) - shown; more > 0 {
		text += fmt.Sprintf("; and %d more differences", more)
	}
	return printable.Text(fmt.Sprintf("%s does not match: %s", e.Path, text))
}
