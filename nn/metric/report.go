package metric

import (
	"cmp"
	"math"
	"slices"
)

// Report measures the answers to a set of images.
type Report struct {
	Count    int     `json:"count"`
	Correct  int     `json:"correct"`
	Accuracy float64 `json:"accuracy"`
	// Top5 is the fraction of images whose class is among the five most probable ones.
	Top5 float64 `json:"top5"`
	// Loss is the mean of -log p over the images, for the probability p of the image's class.
	Loss     float64 `json:"loss"`
	Classes  []Class `json:"classes"`
	Macro    Scores  `json:"macro"`    // mean over the classes that have images
	Weighted Scores  `json:"weighted"` // mean over the classes, weighted by their images
	// ECE is the expected calibration error, over the Bins: the mean over the images of |accuracy - confidence| of their
	// bin (Naeini et al., "Obtaining Well Calibrated Probabilities Using Bayesian Binning", AAAI 2015).
	ECE       float64 `json:"ece"`
	Bins      []Bin   `json:"bins"`
	Confusion [][]int `json:"confusion,omitempty"` // [label][answer]; nil with more than MaxConfusion classes
}

// Scores are the scores of a class, or a mean of them. With tp, fp and fn the images of the class that were recognised, the
// other images that were taken for it, and its images that were not recognised:
//
//	precision = tp / (tp + fp)    recall = tp / (tp + fn)    F1 = 2 tp / (2 tp + fp + fn)
//
// A quotient 0/0 counts as 0.
type Scores struct {
	Precision float64 `json:"precision"`
	Recall    float64 `json:"recall"`
	F1        float64 `json:"f1"`
}

// Class holds the scores of one class.
type Class struct {
	Name    string `json:"name"`
	Support int    `json:"support"` // images of the class
	Scores
}

// Bin holds the images whose answers have a probability in [Low, High), or in the last bin [Low, 1].
type Bin struct {
	Low        float64 `json:"low"`
	High       float64 `json:"high"`
	Count      int     `json:"count"`
	Confidence float64 `json:"confidence"` // mean probability of the answers; 0 in an empty bin
	Accuracy   float64 `json:"accuracy"`
}

// numBins is the number of bins of equal width, as in Guo et al., "On Calibration of Modern Neural Networks", ICML 2017.
const numBins = 15

// MaxConfusion is the largest number of classes for which Summarize makes a confusion matrix, which has the square of it as
// entries.
const MaxConfusion = 1000

// Summarize measures answers. names are the names of the classes. Labels and answers must be in their range.
func Summarize(answers []Answer, names []string) *Report {
	r := &Report{Count: len(answers), Classes: make([]Class, len(names)), Bins: make([]Bin, numBins)}
	if len(names) <= MaxConfusion {
		r.Confusion = make([][]int, len(names))
		for k := range r.Confusion {
			r.Confusion[k] = make([]int, len(names))
		}
	}
	counts := make([]count, len(names))
	top5 := 0
	for _, a := range answers {
		if a.Correct() {
			r.Correct++
			counts[a.Label].right++
		}
		if a.Rank < 5 {
			top5++
		}
		r.Loss += a.Loss
		counts[a.Label].labels++
		counts[a.Class].answers++
		if r.Confusion != nil {
			r.Confusion[a.Label][a.Class]++
		}
		b := &r.Bins[min(numBins-1, int(a.Probability*numBins))]
		b.Count++
		b.Confidence += a.Probability
		if a.Correct() {
			b.Accuracy++
		}
	}
	n := float64(len(answers))
	r.Accuracy, r.Top5, r.Loss = ratio(float64(r.Correct), n), ratio(float64(top5), n), ratio(r.Loss, n)
	r.scores(counts, names)
	r.calibration()
	return r
}

// count counts the images and the answers of a class.
type count struct{ right, labels, answers int }

// scores computes the scores of the classes and their means.
func (r *Report) scores(counts []count, names []string) {
	present := 0.0
	for k, c := range counts {
		class := &r.Classes[k]
		class.Name, class.Support = names[k], c.labels
		class.Precision = ratio(float64(c.right), float64(c.answers))
		class.Recall = ratio(float64(c.right), float64(c.labels))
		class.F1 = ratio(2*float64(c.right), float64(c.labels+c.answers))
		if c.labels == 0 {
			continue
		}
		present++
		r.Macro.add(class.Scores, 1)
		r.Weighted.add(class.Scores, float64(c.labels))
	}
	r.Macro.divide(present)
	r.Weighted.divide(float64(r.Count))
}

// calibration completes the bins and computes their error.
func (r *Report) calibration() {
	for k := range r.Bins {
		b := &r.Bins[k]
		b.Low, b.High = float64(k)/numBins, float64(k+1)/numBins
		n := float64(b.Count)
		r.ECE += math.Abs(b.Accuracy - b.Confidence)
		b.Confidence, b.Accuracy = ratio(b.Confidence, n), ratio(b.Accuracy, n)
	}
	r.ECE = ratio(r.ECE, float64(r.Count))
}

func (s *Scores) add(o Scores, weight float64) {
	s.Precision += weight * o.Precision
	s.Recall += weight * o.Recall
	s.F1 += weight * o.F1
}

func (s *Scores) divide(n float64) {
	s.Precision, s.Recall, s.F1 = ratio(s.Precision, n), ratio(s.Recall, n), ratio(s.F1, n)
}

func ratio(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return a / b
}

// WorstFirst sorts answers: mistakes before right answers, each by falling loss, and equal ones in the order of the set.
func WorstFirst(answers []Answer) {
	slices.SortStableFunc(answers, func(a, b Answer) int {
		if a.Correct() != b.Correct() {
			if a.Correct() {
				return 1
			}
			return -1
		}
		return cmp.Or(cmp.Compare(b.Loss, a.Loss), cmp.Compare(a.Image, b.Image))
	})
}
