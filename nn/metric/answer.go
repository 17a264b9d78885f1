package metric

import "math"

// Answer is a classifier's answer to one image whose class is known.
type Answer struct {
	Image       int     // index in the set
	Label       int     // the image's class
	Class       int     // the most probable class; of equally probable ones the first
	Probability float64 // of Class
	Loss        float64 // -log of the label's probability
	Rank        int     // number of classes before the label when they are sorted by falling probability
}

// Correct reports whether the answer is right.
func (a Answer) Correct() bool { return a.Class == a.Label }

// Judge returns the answer that probabilities, one per class, are for an image of class label.
func Judge(image, label int, probabilities []float64) Answer {
	a := Answer{Image: image, Label: label, Loss: -math.Log(probabilities[label])}
	for k, p := range probabilities {
		if p > probabilities[a.Class] {
			a.Class = k
		}
		if p > probabilities[label] || p == probabilities[label] && k < label {
			a.Rank++
		}
	}
	a.Probability = probabilities[a.Class]
	return a
}

// JudgeOutputs is Judge for a network's outputs z (logits), whose softmax at temperature 1 are the probabilities.
func JudgeOutputs(image, label int, z []float32) Answer {
	a := Answer{Image: image, Label: label}
	for k, v := range z {
		if v > z[a.Class] {
			a.Class = k
		}
		if v > z[label] || v == z[label] && k < label {
			a.Rank++
		}
	}
	top, sum := float64(z[a.Class]), 0.0
	for _, v := range z {
		sum += math.Exp(float64(v) - top)
	}
	a.Probability = 1 / sum
	a.Loss = top - float64(z[label]) + math.Log(sum)
	return a
}
