package tune

import (
	"hash/fnv"
	"math"
	"strconv"

	"trainer/nn/device"
)

// Random search draws each setting independently of the others (Bergstra and Bengio, "Random Search for Hyper-Parameter
// Optimization", JMLR 2012): unlike on a grid, every trial has another value of the settings that matter.

// Setting is a key of a recipe with a value.
type Setting struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// Assignments returns settings in the form "key=value".
func Assignments(settings []Setting) []string {
	var all []string
	for _, s := range settings {
		all = append(all, s.Key+"="+s.Value)
	}
	return all
}

// maxDraws is the number of draws for one trial, after which the trial may equal an earlier one.
const maxDraws = 1 << 16

// Trials returns the settings of n trials, or of fewer if the space has fewer. Trial i depends on the seed and on i alone: a
// longer search begins with the trials of a shorter one. The values of a key don't depend on the other keys, except that a
// trial that would equal an earlier one is drawn again.
func (s Space) Trials(seed uint64, n int) [][]Setting {
	if size := s.Size(); size > 0 {
		n = min(n, size)
	}
	trials := make([][]Setting, 0, n)
	seen := map[string]bool{}
	for i := range n {
		trials = append(trials, s.trial(seed, i, seen))
	}
	return trials
}

// trial draws a trial that has not been seen.
func (s Space) trial(seed uint64, i int, seen map[string]bool) []Setting {
	settings := make([]Setting, len(s))
	for draw := range maxDraws {
		all := ""
		for k, d := range s {
			settings[k] = Setting{d.Key, d.draw(seed, i, draw)}
			all += settings[k].Value + "\x00"
		}
		if !seen[all] {
			seen[all] = true
			break
		}
	}
	return settings
}

// draw draws a value.
func (d Dimension) draw(seed uint64, trial, draw int) string {
	hash := fnv.New32a()
	hash.Write([]byte(d.Key)) // never fails
	word := device.RandomWord(seed, device.StreamSearch, hash.Sum32(), uint64(trial)*maxDraws+uint64(draw))
	if d.Values != nil {
		return d.Values[device.Below(word, len(d.Values))]
	}
	u := float64(word) / (1 << 32) // 0 to below 1
	low, high := d.Low, d.High
	if d.Whole {
		high++ // each whole number stands for the numbers from it to the next
	}
	x := low + u*(high-low)
	if d.Log {
		x = low * math.Pow(high/low, u)
	}
	if d.Whole {
		x = math.Floor(x)
	} else {
		x = round(x, d.High-d.Low)
	}
	return d.format(min(max(x, d.Low), d.High))
}

// round rounds a number to four significant digits, or to four of the range's width if that has smaller ones: a command
// with the number stays short.
func round(x, width float64) float64 {
	const digits = 4
	scale := min(math.Abs(x), width)
	if scale == 0 {
		return x
	}
	decimals := digits - 1 - int(math.Floor(math.Log10(scale)))
	rounded, err := strconv.ParseFloat(strconv.FormatFloat(x, 'f', max(0, decimals), 64), 64)
	if err != nil {
		return x
	}
	return rounded
}
