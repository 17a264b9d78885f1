package inspect

import (
	"fmt"
	"math"

	"trainer/nn/device/reference"
	"trainer/nn/explain"
)

// normal is what a normalisation computes an element with.
type normal struct {
	group                 []int // the elements that mean and variance are of; nil if the statistics are fixed
	mean, variance, scale float64
	gamma, beta           float64
	gammaName, betaName   string
	channel               int

	// size is the magnitude of the mean, spread the relative error of scale in units of the mean's error, and ulps that unit:
	// see reference.BatchNorm.
	size, spread, ulps float64
}

// normal returns the statistics and parameters of element k.
func (a *account) normal(p *place, r explain.Normalization, k int) (n normal, err error) {
	var gamma, beta []float32
	if n.gammaName, gamma, err = a.tensor(p, "weight"); err != nil {
		return n, err
	}
	if n.betaName, beta, err = a.tensor(p, "bias"); err != nil {
		return n, err
	}
	n.channel = k % len(gamma)
	n.gamma, n.beta = float64(gamma[n.channel]), float64(beta[n.channel])
	if err := a.statistics(p, r, k, &n); err != nil {
		return n, err
	}
	n.scale = 1 / math.Sqrt(n.variance+r.Epsilon)
	return n, nil
}

// statistics sets mean and variance.
func (a *account) statistics(p *place, r explain.Normalization, k int, n *normal) error {
	if r.Mean != "" {
		_, mean, err := a.tensor(p, r.Mean)
		if err != nil {
			return err
		}
		_, variance, err := a.tensor(p, r.Variance)
		if err != nil {
			return err
		}
		n.mean, n.variance = float64(mean[n.channel]), float64(variance[n.channel])
		n.size, n.spread, n.ulps = math.Abs(n.mean), 1.5, 2*reference.ElementwiseUlps
		return nil
	}
	x := a.input(p, 0)
	n.group = r.Group(k)
	m := float64(len(n.group))
	for _, i := range n.group {
		n.mean += float64(x[i]) / m
		n.size += math.Abs(float64(x[i])) / m
	}
	n.ulps = reference.SumUlps(len(n.group)) + reference.ElementwiseUlps
	magnitude := n.size * n.size * reference.Ulp * n.ulps
	for _, i := range n.group {
		d := float64(x[i]) - n.mean
		n.variance += d * d / m
		magnitude += (d*d + 2*math.Abs(d)*reference.Ulp*n.size) / m
	}
	n.spread = 1 + magnitude/(n.variance+r.Epsilon)/2
	return nil
}

// normalizedValue: y = gamma (x - mean) / sqrt(var + epsilon) + beta.
func (a *account) normalizedValue(p *place, r explain.Normalization) error {
	k := a.e.Index
	n, err := a.normal(p, r, k)
	if err != nil {
		return err
	}
	x := float64(a.input(p, 0)[k])
	factor := n.gamma * n.scale
	a.add(term{source: at(Value, p.Inputs[0], k), weight: explain.Any, factor: factor, value: factor * x})
	a.add(term{weight: explain.Any, factor: factor, value: -factor * n.mean, label: "-mean gamma / sqrt(var + epsilon)"})
	a.add(term{tensor: n.betaName, weight: n.channel, factor: 1, value: n.beta, label: fmt.Sprintf("beta[%d]", n.channel)})
	a.normalFacts(p, r, n)
	a.fact("xhat", n.scale*(x-n.mean))
	a.result = func(sum float64) float64 { return sum }
	a.write = func(_, y float64) string {
		return fmt.Sprintf("%s*(%s - %s) / sqrt(%s + %s) + %s = %s",
			short(n.gamma), short(x), short(n.mean), short(n.variance), short(r.Epsilon), short(n.beta), short(y))
	}
	a.tolerate(n.ulps, math.Abs(factor)*(math.Abs(x)+n.size)+n.spread*math.Abs(factor*(x-n.mean))+math.Abs(n.beta))
	return nil
}

func (a *account) normalFacts(p *place, r explain.Normalization, n normal) {
	if n.group == nil {
		a.fact(fmt.Sprintf("mean = %s.%s[%d]", p.Name, r.Mean, n.channel), n.mean)
		a.fact(fmt.Sprintf("var = %s.%s[%d]", p.Name, r.Variance, n.channel), n.variance)
	} else {
		a.fact(fmt.Sprintf("mean, m = %d", len(n.group)), n.mean)
		a.fact(fmt.Sprintf("var, m = %d", len(n.group)), n.variance)
	}
	a.fact("epsilon", r.Epsilon)
	a.fact(fmt.Sprintf("gamma = %s[%d]", n.gammaName, n.channel), n.gamma)
	a.fact(fmt.Sprintf("beta = %s[%d]", n.betaName, n.channel), n.beta)
}

// normalizedGradient: with fixed statistics dx = gamma / sqrt(var + epsilon) dy; otherwise
//
//	dx[i] = 1 / sqrt(var + epsilon) (g[i] - 1/m sum_k g[k] - xhat[i] 1/m sum_k g[k] xhat[k])        g = gamma dy
func (a *account) normalizedGradient(u *place, user int, r explain.Normalization) error {
	k := a.e.Index
	n, err := a.normal(u, r, k)
	if err != nil {
		return err
	}
	dy := a.s.gradients.Values[user]
	a.normalFacts(u, r, n)
	own := float64(dy[k]) * n.gamma * n.scale
	a.add(term{source: at(Gradient, user, k), weight: explain.Any, factor: n.gamma * n.scale, value: own})
	if n.group == nil {
		a.tolerate(n.ulps, n.spread*math.Abs(own))
		return nil
	}
	_, gamma, err := a.tensor(u, "weight")
	if err != nil {
		return err
	}
	x, m := a.input(u, 0), float64(len(n.group))
	xhat := func(i int) float64 { return n.scale * (float64(x[i]) - n.mean) }
	sizeOfXhat := func(i int) float64 {
		return n.scale*(math.Abs(float64(x[i]))+n.size) + n.spread*math.Abs(xhat(i))
	}
	var sum, products, sumSize, productsSize float64
	for _, i := range n.group {
		g := float64(dy[i]) * float64(gamma[i%len(gamma)])
		sum, products = sum+g/m, products+g*xhat(i)/m
		sumSize, productsSize = sumSize+math.Abs(g)/m, productsSize+math.Abs(g)*sizeOfXhat(i)/m
	}
	a.add(term{weight: explain.Any, factor: n.scale, value: -n.scale * sum, label: "-1/m sum_k g[k] / sqrt(var + epsilon)"})
	a.add(term{weight: explain.Any, factor: n.scale, value: -n.scale * xhat(k) * products, label: "-xhat[i] 1/m sum_k g[k] xhat[k] / sqrt(var + epsilon)"})
	a.fact("1/m sum_k g[k]", sum)
	a.fact("1/m sum_k g[k] xhat[k]", products)
	a.fact("xhat[i]", xhat(k))
	a.tolerate(2*n.ulps, n.scale*n.spread*(math.Abs(float64(dy[k])*n.gamma)+sumSize+math.Abs(xhat(k))*productsSize+sizeOfXhat(k)*math.Abs(products)))
	return nil
}

// normalizedWeight: dbeta = sum of dy, and dgamma = sum of dy xhat.
func (a *account) normalizedWeight(p *place, r explain.Normalization, tensor string) error {
	if tensor == "bias" {
		a.shared(p, func(int) float64 { return 1 }, false)
		return nil
	}
	x, dy := a.input(p, 0), a.s.gradients.Values[a.e.Place]
	var failed error
	size, ulps := 0.0, 0.0
	known := map[int]normal{} // of the elements of groups seen so far
	a.shared(p, func(k int) float64 {
		n, ok := known[k]
		if !ok {
			var err error
			if n, err = a.normal(p, r, k); err != nil {
				failed = err
			}
			for _, i := range n.group {
				known[i] = n
			}
		}
		xhat := n.scale * (float64(x[k]) - n.mean)
		size += math.Abs(float64(dy[k])) * (n.scale*(math.Abs(float64(x[k]))+n.size) + n.spread*math.Abs(xhat))
		ulps = n.ulps
		return xhat
	}, true)
	a.e.Note = &Note{Kind: NoteXhat}
	a.tolerate(ulps+a.sumUlps(), size)
	return failed
}
