package cpu

import (
	"math"

	"trainer/nn/device"
)

// Losses with soft targets, weights or ignored labels, with one row z of outputs per example. With the target t,
// the class weights w, the example's weight v, q[k] = (1-s) t[k] + s/classes, and a[k] = w[k] q[k]
// (device.LossSpec), cross-entropy is
//
//	L = sum_k a[k] (log sum_j exp(z[j]-m) - (z[k]-m))      dL/dz[k] = (sum_j a[j]) softmax(z)[k] - a[k]
//
// with m the largest element of z. The gradient follows because the derivative of the logarithm is
// softmax(z)[k]. The mean squared error is
//
//	L = u/classes sum_k (z[k] - t[k])^2                    dL/dz[k] = 2 u/classes (z[k] - t[k])
//
// with u = sum_k w[k] t[k]. Both losses and gradients are multiplied by v, and for the mean the gradients also by
// 1/W with W = sum_i v[i] u[i].

// weightedLossForward is the loop over groups of rows of Forward.
type weightedLossForward loss

func (p *weightedLossForward) Do(i, _ int) {
	c, l := p.spec.Classes, (*loss)(p)
	var sum lossStats
	for r := i * p.rowsPerTask; r < min((i+1)*p.rowsPerTask, p.n); r++ {
		if l.ignored(r) {
			continue
		}
		z, v := p.outputs[r*c:(r+1)*c], l.exampleWeight(r)
		sum.count++
		sum.weight += v * l.targetWeight(r)
		if !l.valid(r) {
			sum.loss = math.NaN()
			continue
		}
		if p.spec.Kind == device.SoftmaxCrossEntropy {
			sum.loss += v * p.crossEntropy(z, r)
		} else {
			sum.loss += v * p.squaredError(z, r)
		}
		if firstLargest(z) == l.answer(r) {
			sum.correct++
		}
	}
	p.partial[i] = sum
}

// weightedLossBackward is the loop over groups of rows of Backward.
type weightedLossBackward loss

func (p *weightedLossBackward) Do(i, _ int) {
	c, l := p.spec.Classes, (*loss)(p)
	for r := i * p.rowsPerTask; r < min((i+1)*p.rowsPerTask, p.n); r++ {
		dz, z := p.doutputs[r*c:(r+1)*c], p.outputs[r*c:(r+1)*c]
		switch {
		case l.ignored(r):
			clear(dz)
		case !l.valid(r):
			fillNaN(dz)
		case p.spec.Kind == device.SoftmaxCrossEntropy:
			p.crossEntropyGradient(dz, z, r, l.exampleWeight(r)*p.factor)
		default:
			p.squaredErrorGradient(dz, z, r, l.exampleWeight(r)*p.factor)
		}
	}
}

// ignored reports whether example r has the label that the loss ignores.
func (p *loss) ignored(r int) bool { return p.spec.Ignore && p.labels[r] == p.spec.IgnoreIndex }

// valid reports whether example r has a valid target: soft targets, or a label in range.
func (p *loss) valid(r int) bool {
	return p.labels == nil || p.labels[r] >= 0 && int(p.labels[r]) < p.spec.Classes
}

// exampleWeight returns the weight v of example r.
func (p *loss) exampleWeight(r int) float64 {
	if p.weight == nil {
		return 1
	}
	return float64(p.weight[r])
}

// classWeight returns the weight w of class k.
func (p *loss) classWeight(k int) float64 {
	if p.classWeights == nil {
		return 1
	}
	return float64(p.classWeights[k])
}

// target returns t[k] of example r.
func (p *loss) target(r, k int) float64 {
	switch {
	case p.soft != nil:
		return float64(p.soft[r*p.spec.Classes+k])
	case int(p.labels[r]) == k:
		return 1
	}
	return 0
}

// answer returns the class of example r: the label, or the most probable class.
func (p *loss) answer(r int) int {
	if p.soft == nil {
		return int(p.labels[r])
	}
	return firstLargest(p.soft[r*p.spec.Classes : (r+1)*p.spec.Classes])
}

// targetWeight returns u of example r: sum_k w[k] t[k], or 1 without class weights or a valid label.
func (p *loss) targetWeight(r int) float64 {
	if p.classWeights == nil || !p.valid(r) {
		return 1
	}
	if p.soft == nil {
		return p.classWeight(int(p.labels[r]))
	}
	var u float64
	for k, w := range p.classWeights {
		u += float64(w) * p.target(r, k)
	}
	return u
}

// inverseWeight returns 1/W, or 0 if W is not positive, because then every example is ignored or has the weight
// 0. W is summed in the order of the examples.
func (p *loss) inverseWeight() float64 {
	var total float64
	for r := range p.n {
		if !p.ignored(r) {
			total += p.exampleWeight(r) * p.targetWeight(r)
		}
	}
	if total <= 0 {
		return 0
	}
	return 1 / total
}

// smoothed returns a[k] = w[k] ((1-s) t[k] + s/classes) of example r.
func (p *loss) smoothed(r, k int) float64 {
	s := float64(p.spec.Smoothing)
	return p.classWeight(k) * ((1-s)*p.target(r, k) + s/float64(p.spec.Classes))
}

// crossEntropy returns sum_k a[k] (log sum_j exp(z[j]-m) - (z[k]-m)), where m is the largest element of z.
func (p *weightedLossForward) crossEntropy(z []float32, r int) float64 {
	m := largest(z)
	logSum := math.Log(p.d.vector.SumOfExponentials(z, m))
	var sum float64
	for k, v := range z {
		if a := (*loss)(p).smoothed(r, k); a != 0 {
			sum += a * (logSum - (float64(v) - float64(m)))
		}
	}
	return sum
}

// crossEntropyGradient computes dz[k] = weight ((sum_j a[j]) softmax(z)[k] - a[k]).
func (p *weightedLossBackward) crossEntropyGradient(dz, z []float32, r int, weight float64) {
	l := (*loss)(p)
	var total float64
	for k := range z {
		total += l.smoothed(r, k)
	}
	scale := total / p.d.vector.Exponentials(dz, z, largest(z))
	for k, e := range dz {
		dz[k] = float32(weight * (float64(e)*scale - l.smoothed(r, k)))
	}
}

// squaredError returns u/classes sum_k (z[k] - t[k])^2.
func (p *weightedLossForward) squaredError(z []float32, r int) float64 {
	l := (*loss)(p)
	var sum float64
	for k, v := range z {
		d := float64(v) - l.target(r, k)
		sum += d * d
	}
	return l.targetWeight(r) * sum / float64(len(z))
}

// squaredErrorGradient computes dz[k] = weight 2 u/classes (z[k] - t[k]).
func (p *weightedLossBackward) squaredErrorGradient(dz, z []float32, r int, weight float64) {
	l := (*loss)(p)
	weight *= 2 * l.targetWeight(r) / float64(len(z))
	for k, v := range z {
		dz[k] = float32(weight * (float64(v) - l.target(r, k)))
	}
}
