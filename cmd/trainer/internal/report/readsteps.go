package report

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"io/fs"

	"trainer/nn/folder"
	"trainer/nn/train"
)

// maxSteps is the number of lines of steps.jsonl that ReadSteps returns. Of more lines it returns every other one, and so on.
const maxSteps = 4000

// ReadSteps returns a run's means over steps, thinned out if there are many. It ends at the first broken line.
func ReadSteps(dir *folder.Folder) ([]train.StepMetrics, error) {
	file, err := dir.Open(StepsFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var steps []train.StepMetrics
	every, line := 1, 0
	in := bufio.NewReader(io.LimitReader(file, maxMetrics))
	for ; ; line++ {
		text, err := in.ReadSlice('\n')
		var m train.StepMetrics
		if err != nil || json.Unmarshal(text, &m) != nil {
			return steps, nil
		}
		if line%every != 0 {
			continue
		}
		if len(steps) == maxSteps {
			every *= 2
			for i := range maxSteps / 2 {
				steps[i] = steps[2*i]
			}
			steps = steps[:maxSteps/2]
			if line%every != 0 {
				continue
			}
		}
		steps = append(steps, m)
	}
}
