package nn_test

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"trainer/nn"
	"trainer/nn/device"
)

// fill returns the values of a parameter [outC, kH, kW, inC] or of any other shape.
func fill(t *testing.T, init nn.Initializer, c nn.InitContext) []float32 {
	t.Helper()
	v := make([]float32, nn.Shape(c.Shape).Len())
	if err := init.Fill(v, c); err != nil {
		t.Fatal(err)
	}
	return v
}

// Mean and variance of n independent numbers of variance s^2 spread by s/sqrt(n) and, for
// normal ones, sqrt(2/n) s^2 (less for uniform ones). A deviation of five times that occurs
// about once in a million.
func TestInitializerMoments(t *testing.T) {
	const fanIn, fanOut = 50, 200
	cases := []struct {
		init     nn.Initializer
		variance float64
		bound    float64 // of uniform numbers
	}{
		{nn.LeCunNormal{}, 1.0 / fanIn, 0},
		{nn.HeNormal{}, 2.0 / fanIn, 0},
		{nn.HeUniform{}, 2.0 / fanIn, math.Sqrt(6.0 / fanIn)},
		{nn.GlorotNormal{}, 2.0 / (fanIn + fanOut), 0},
		{nn.GlorotUniform{}, 2.0 / (fanIn + fanOut), math.Sqrt(6.0 / (fanIn + fanOut))},
		{nn.PyTorchDefault{}, 1.0 / (3 * fanIn), 1 / math.Sqrt(fanIn)},
	}
	for _, c := range cases {
		t.Run(fmt.Sprintf("%T", c.init), func(t *testing.T) {
			v := fill(t, c.init, nn.InitContext{
				Shape: []int{300, 333}, FanIn: fanIn, FanOut: fanOut, Seed: 1, Stream: device.StreamInit,
			})
			n := float64(len(v))
			var sum, squares, largest float64
			for _, x := range v {
				sum += float64(x)
				squares += float64(x) * float64(x)
				largest = max(largest, math.Abs(float64(x)))
			}
			if mean := sum / n; math.Abs(mean) > 5*math.Sqrt(c.variance/n) {
				t.Errorf("mean %v is too far from 0", mean)
			}
			if variance := squares / n; math.Abs(variance-c.variance) > 5*math.Sqrt(2/n)*c.variance {
				t.Errorf("variance %v, want %v", variance, c.variance)
			}
			// The largest of 99,900 uniform numbers is within 0.1% of the bound; the
			// largest of as many normal numbers is beyond 3.5 standard deviations.
			if c.bound > 0 && (largest > c.bound*(1+1e-6) || largest < 0.999*c.bound) {
				t.Errorf("largest magnitude %v, want just below %v", largest, c.bound)
			}
			if c.bound == 0 && largest < 3.5*math.Sqrt(c.variance) {
				t.Errorf("largest magnitude %v is too small for a normal distribution", largest)
			}
		})
	}
}

func TestInitializersFollowSeedAndStream(t *testing.T) {
	at := func(seed uint64, stream int) string {
		return fmt.Sprint(fill(t, nn.HeNormal{}, nn.InitContext{
			Shape: []int{7}, FanIn: 1, FanOut: 1, Seed: seed, Stream: device.StreamInit.Sub(stream),
		}))
	}
	first := at(1, 0)
	if again := at(1, 0); again != first {
		t.Errorf("the same seed and stream gave %s, before %s", again, first)
	}
	if at(2, 0) == first || at(1, 1) == first {
		t.Error("another seed or stream gave the same values")
	}
	if at(1<<32|1, 0) == first {
		t.Error("the seed's upper half has no effect")
	}
}

// Q's columns are orthonormal to float64's precision; storing as float32 adds 2^-25 per
// element, less than 1e-6 in an inner product.
func TestOrthogonal(t *testing.T) {
	for _, shape := range [][]int{{6, 6}, {4, 9}, {9, 4}, {5, 3, 3, 2}, {1, 4}} {
		t.Run(fmt.Sprint(shape), func(t *testing.T) {
			v := fill(t, nn.Orthogonal{Gain: 2}, nn.InitContext{Shape: shape, Seed: 3, Stream: device.StreamInit})
			rows := shape[0]
			cols := len(v) / rows
			at := func(i, k int) float64 { return float64(v[i*cols+k]) / 2 }
			few, many := rows, cols
			if cols < rows {
				few, many = cols, rows
				at = func(i, k int) float64 { return float64(v[k*cols+i]) / 2 }
			}
			for i := range few {
				for j := range few {
					dot, want := 0.0, 0.0
					for k := range many {
						dot += at(i, k) * at(j, k)
					}
					if i == j {
						want = 1
					}
					if math.Abs(dot-want) > 1e-6 {
						t.Errorf("vectors %d and %d have the inner product %v, want %v", i, j, dot, want)
					}
				}
			}
		})
	}
	err := nn.Orthogonal{}.Fill(make([]float32, 3), nn.InitContext{Shape: []int{3}})
	if err == nil || !strings.Contains(err.Error(), "two dimensions") {
		t.Errorf("orthogonal initialisation of a bias: %v", err)
	}
}

func TestDiracIsIdentity(t *testing.T) {
	dev := newCPU(t)
	in := nn.Shape{5, 4, 3}
	built, err := nn.BuildUnit(dev, nn.Conv2D{OutC: 5, Kernel: nn.Square(3), Same: true, NoBias: true, Init: nn.Dirac{}}, in, 2, 1)
	if err != nil {
		t.Fatal(err)
	}
	xs := random(1, 2*in.Len())
	y := download(t, dev, built.Unit.Forward(newTensor(t, dev, xs, 2, 5, 4, 3), nn.Training))
	rest := 0.0
	for i := range len(xs) / 3 {
		for c := range 3 {
			if y[i*5+c] != xs[i*3+c] {
				t.Fatalf("pixel %d, channel %d: output %v, input %v", i, c, y[i*5+c], xs[i*3+c])
			}
		}
		rest += math.Abs(float64(y[i*5+3])) + math.Abs(float64(y[i*5+4]))
	}
	if rest == 0 {
		t.Error("the filters beyond the input's channels are zero")
	}
}

func TestConstant(t *testing.T) {
	v := fill(t, nn.Constant{Value: 0.25}, nn.InitContext{Shape: []int{3}})
	if fmt.Sprint(v) != "[0.25 0.25 0.25]" {
		t.Errorf("got %v", v)
	}
}

// The responses of the first half of the filters over all patches have the second moments
// E(r_j r_k) = [j = k] lambda_k / (lambda_k + epsilon): with epsilon far below the
// smallest eigenvalue, the identity. Float32 responses allow about 1e-5.
func TestWhiteningWhitens(t *testing.T) {
	dev := newCPU(t)
	const images = 20
	in := nn.Shape{9, 8, 2}
	// Neighbouring pixels and both channels correlate, and the mean is not 0.
	noise := random(11, images*in.Len())
	pixels := make([]float32, len(noise))
	for i := range pixels {
		pixels[i] = 0.3 + noise[i] + 0.8*noise[max(i-1, 0)] + 0.5*noise[max(i-2, 0)]
	}
	var asked int
	n := compile(t, dev, nn.NewSequential(
		nn.Named("whiten", nn.Conv2D{OutC: 16, Kernel: nn.Square(2), NoBias: true, Frozen: true, Init: nn.Whitening{Images: images, Epsilon: 1e-9}}),
		nn.Flatten{},
	), nn.Options{Input: in, Batch: images, Seed: 1, Sample: func(n int) ([]float32, nn.Shape, error) {
		asked = n
		return pixels, in, nil
	}})
	if asked != images {
		t.Errorf("%d images were asked for, want %d", asked, images)
	}
	y := download(t, dev, n.Forward(newTensor(t, dev, pixels, images, 9, 8, 2), nn.Inference))
	const outC, d = 16, 8
	positions := len(y) / outC
	var previous float64
	w := download(t, dev, n.Params()[0].Value)
	for j := range d {
		for k := range d {
			moment, want := 0.0, 0.0
			for p := range positions {
				moment += float64(y[p*outC+j]) * float64(y[p*outC+k])
			}
			moment /= float64(positions)
			if j == k {
				want = 1
			}
			if math.Abs(moment-want) > 1e-4 {
				t.Errorf("responses %d and %d have the moment %v, want %v", j, k, moment, want)
			}
		}
		norm, largest := 0.0, float32(0)
		for i := range d {
			if w[(d+j)*d+i] != -w[j*d+i] {
				t.Fatalf("filter %d is not the negative of filter %d", d+j, j)
			}
			norm += float64(w[j*d+i]) * float64(w[j*d+i])
			if math.Abs(float64(w[j*d+i])) > math.Abs(float64(largest)) {
				largest = w[j*d+i]
			}
		}
		if largest < 0 {
			t.Errorf("filter %d has its largest element negative", j)
		}
		// |filter|^2 = 1/lambda grows as eigenvalues fall.
		if norm < previous {
			t.Errorf("filter %d has a larger eigenvalue than the one before", j)
		}
		previous = norm
	}
}

func TestWhiteningErrors(t *testing.T) {
	sample := func(images []float32, shape nn.Shape) func(int) ([]float32, nn.Shape, error) {
		return func(int) ([]float32, nn.Shape, error) { return images, shape, nil }
	}
	shape := []int{8, 2, 2, 1}
	cases := []struct {
		name  string
		c     nn.InitContext
		words string
	}{
		{"no data", nn.InitContext{Shape: shape}, "needs training images"},
		{"filters", nn.InitContext{Shape: []int{7, 2, 2, 1}}, "got 7 filters, needs 2*2*2*1 = 8"},
		{"dense", nn.InitContext{Shape: []int{4, 4}}, "convolution"},
		{"channels", nn.InitContext{Shape: shape, Sample: sample(make([]float32, 48), nn.Shape{4, 4, 3})}, "4x4x3"},
		{"too small", nn.InitContext{Shape: shape, Sample: sample(make([]float32, 2), nn.Shape{1, 2, 1})}, "at least 2x2"},
		{"failing", nn.InitContext{Shape: shape, Sample: func(int) ([]float32, nn.Shape, error) {
			return nil, nil, fmt.Errorf("broken file")
		}}, "broken file"},
	}
	for _, c := range cases {
		err := nn.Whitening{}.Fill(make([]float32, nn.Shape(c.c.Shape).Len()), c.c)
		if err == nil || !strings.Contains(err.Error(), c.words) {
			t.Errorf("%s: error %v, want one with %q", c.name, err, c.words)
		}
	}
}
