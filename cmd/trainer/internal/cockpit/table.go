package cockpit

import (
	"trainer/nn"
	"trainer/nn/train"
)

// TableOf returns a network's table and the size of its training, as one JSON object, which trainer -dry-run -json prints, too. pictures are lines about
// the picture files of a folder.
func TableOf(s *train.Summary, precision string, pictures []string) any {
	type row struct {
		Name       string   `json:"name"`
		Kind       string   `json:"kind"`
		Output     nn.Shape `json:"output"`
		Parameters int      `json:"parameters"`
		FLOPs      int64    `json:"flops"` // of the forward pass of one image
		Memory     int64    `json:"memory_bytes"`
	}
	rows := []row{}
	for _, r := range s.Rows {
		rows = append(rows, row{r.Name, r.Kind, r.Output, r.Params, r.FLOPs, r.Memory})
	}
	return struct {
		Layers      []row    `json:"layers"`
		Parameters  int      `json:"parameters"`
		FLOPs       int64    `json:"flops"`
		Memory      int64    `json:"memory_bytes"`
		Device      string   `json:"device"`
		Precision   string   `json:"precision,omitempty"`
		Batch       int      `json:"batch"`
		Accumulate  int      `json:"accumulate"`
		Epochs      float64  `json:"epochs"`
		Steps       int      `json:"steps"`
		TrainImages int      `json:"train_images"`
		Dropped     int      `json:"dropped_images,omitempty"`
		ValImages   int      `json:"val_images,omitempty"`
		TestImages  int      `json:"test_images"`
		Pictures    []string `json:"pictures,omitempty"`
		Phases      []phase  `json:"resolution,omitempty"`
	}{rows, s.Params, s.FLOPs, s.Memory, s.Device, precision, s.Batch, s.Accumulate, s.Epochs, s.Steps,
		s.TrainImages, s.Dropped, s.ValImages, s.TestImages, pictures, phasesOf(s)}
}

// phase is a part of training with one size of images.
type phase struct {
	Epoch int      `json:"epoch"` // from 0
	Input nn.Shape `json:"input"`
	FLOPs int64    `json:"flops"`
}

func phasesOf(s *train.Summary) (list []phase) {
	for _, p := range s.Phases {
		list = append(list, phase(p))
	}
	return list
}
