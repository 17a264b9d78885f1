package metric

import "gonum.org/v1/gonum/stat/distuv"

// McNemar compares two classifiers by their answers to the same images, in the same order. onlyA and onlyB are the numbers
// of images that only one of them answers correctly; p is the probability of so unequal numbers if both were equally good,
// by the exact binomial test (McNemar, "Note on the Sampling Error of the Difference Between Correlated Proportions or
// Percentages", Psychometrika 1947). It panics if the numbers of answers differ.
func McNemar(a, b []Answer) (onlyA, onlyB int, p float64) {
	if len(a) != len(b) {
		panic("metric: McNemar needs answers to the same images")
	}
	for i := range a {
		switch right, other := a[i].Correct(), b[i].Correct(); {
		case right && !other:
			onlyA++
		case other && !right:
			onlyB++
		}
	}
	n, fewer := onlyA+onlyB, min(onlyA, onlyB)
	if n == 0 {
		return 0, 0, 1
	}
	return onlyA, onlyB, min(1, 2*distuv.Binomial{N: float64(n), P: 0.5}.CDF(float64(fewer)))
}
