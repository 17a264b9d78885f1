package metric_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"trainer/nn/metric"
)

func near(t *testing.T, what string, got, want float64) {
	t.Helper()
	if math.Abs(got-want) > 1e-12*max(1, math.Abs(want)) {
		t.Errorf("%s is %v, want %v", what, got, want)
	}
}

func TestJudge(t *testing.T) {
	a := metric.Judge(7, 2, []float64{.1, .4, .1, .4})
	if a.Image != 7 || a.Label != 2 || a.Class != 1 || a.Rank != 3 || a.Correct() {
		t.Errorf("%+v", a)
	}
	near(t, "probability", a.Probability, .4)
	near(t, "loss", a.Loss, -math.Log(.1))

	z := []float32{0, 2, -1, 2}
	var p []float64
	sum := 0.0
	for _, v := range z {
		p = append(p, math.Exp(float64(v)))
		sum += p[len(p)-1]
	}
	for k := range p {
		p[k] /= sum
	}
	for label := range z {
		a, b := metric.Judge(1, label, p), metric.JudgeOutputs(1, label, z)
		if a.Class != b.Class || a.Rank != b.Rank {
			t.Errorf("label %d: %+v from probabilities, %+v from outputs", label, a, b)
		}
		near(t, "probability from outputs", b.Probability, a.Probability)
		near(t, "loss from outputs", b.Loss, a.Loss)
	}
}

// The scores of scikit-learn's classification_report for y_true = [0,1,2,2,2], y_pred = [0,0,2,2,1], with a fourth class
// that has no images and no answers.
func TestScores(t *testing.T) {
	var answers []metric.Answer
	for i, pair := range [][2]int{{0, 0}, {1, 0}, {2, 2}, {2, 2}, {2, 1}} {
		answers = append(answers, metric.Answer{Image: i, Label: pair[0], Class: pair[1], Probability: .5, Loss: float64(i), Rank: 5 * (i % 2)})
	}
	r := metric.Summarize(answers, []string{"a", "b", "c", "d"})
	near(t, "accuracy", r.Accuracy, .6)
	near(t, "loss", r.Loss, 2)
	near(t, "top 5", r.Top5, .6)
	for k, want := range []metric.Class{
		{Name: "a", Support: 1, Scores: metric.Scores{Precision: .5, Recall: 1, F1: 2. / 3}},
		{Name: "b", Support: 1},
		{Name: "c", Support: 3, Scores: metric.Scores{Precision: 1, Recall: 2. / 3, F1: .8}},
		{Name: "d"},
	} {
		got := r.Classes[k]
		if got.Name != want.Name || got.Support != want.Support {
			t.Errorf("class %d: %+v", k, got)
		}
		near(t, got.Name+" precision", got.Precision, want.Precision)
		near(t, got.Name+" recall", got.Recall, want.Recall)
		near(t, got.Name+" F1", got.F1, want.F1)
	}
	near(t, "macro precision", r.Macro.Precision, .5)
	near(t, "macro F1", r.Macro.F1, (2./3+.8)/3)
	near(t, "weighted precision", r.Weighted.Precision, .7)
	near(t, "weighted recall", r.Weighted.Recall, .6)
	near(t, "weighted F1", r.Weighted.F1, (2./3+3*.8)/5)
	if r.Confusion[2][1] != 1 || r.Confusion[2][2] != 2 || r.Confusion[1][0] != 1 {
		t.Errorf("confusion %v", r.Confusion)
	}
	if metric.Summarize(nil, []string{"a"}).Accuracy != 0 {
		t.Error("no answers have an accuracy")
	}
	if metric.Summarize(nil, make([]string, metric.MaxConfusion+1)).Confusion != nil {
		t.Error("a huge confusion matrix was made")
	}
}

// Two bins by hand: three answers of .62 of which one is right, one of 1 that is right.
func TestCalibrationError(t *testing.T) {
	answers := []metric.Answer{
		{Label: 0, Class: 0, Probability: .62}, {Label: 1, Class: 0, Probability: .62}, {Label: 1, Class: 0, Probability: .62},
		{Label: 1, Class: 1, Probability: 1},
	}
	r := metric.Summarize(answers, []string{"a", "b"})
	near(t, "ECE", r.ECE, (3*(.62-1./3)+0)/4)
	if b := r.Bins[9]; b.Count != 3 || math.Abs(b.Confidence-.62) > 1e-12 || math.Abs(b.Accuracy-1./3) > 1e-12 {
		t.Errorf("bin %+v", b)
	}
	if b := r.Bins[14]; b.Count != 1 || b.High != 1 {
		t.Errorf("last bin %+v", b)
	}
}

// Labels drawn from softmax(z/2.5) have 2.5 as the best temperature of z, up to the error of a finite sample.
func TestTemperatureIsFound(t *testing.T) {
	const n, classes, temperature = 20000, 4, 2.5
	random := rand.New(rand.NewPCG(1, 2))
	z, labels := make([]float32, n*classes), make([]int32, n)
	for i := range labels {
		var p [classes]float64
		sum := 0.0
		for k := range p {
			v := 3 * random.NormFloat64()
			z[i*classes+k] = float32(v)
			p[k] = math.Exp(v / temperature)
			sum += p[k]
		}
		draw := random.Float64() * sum
		for labels[i] < classes-1 && draw > p[labels[i]] {
			draw -= p[labels[i]]
			labels[i]++
		}
	}
	got := metric.FitTemperature(z, labels, classes)
	if math.Abs(got-temperature) > .1 {
		t.Errorf("temperature %v, want about %v", got, temperature)
	}
	loss := func(temperature float64) float64 {
		total := 0.0
		for i, label := range labels {
			scaled := make([]float32, classes)
			for k := range scaled {
				scaled[k] = z[i*classes+k] / float32(temperature)
			}
			total += metric.JudgeOutputs(i, int(label), scaled).Loss
		}
		return total
	}
	if l := loss(got); l > loss(got*1.02) || l > loss(got/1.02) {
		t.Errorf("the loss at %v is not the smallest", got)
	}
	if got := metric.FitTemperature(nil, nil, classes); got != 1 {
		t.Errorf("without images: %v", got)
	}
}

func TestWorstFirst(t *testing.T) {
	answers := []metric.Answer{
		{Image: 0, Loss: 9}, {Image: 1, Class: 1, Loss: 1}, {Image: 2, Class: 1, Loss: 3}, {Image: 3, Class: 1, Loss: 1}, {Image: 4, Loss: 10},
	}
	metric.WorstFirst(answers)
	var order []int
	for _, a := range answers {
		order = append(order, a.Image)
	}
	if !slices.Equal(order, []int{2, 1, 3, 4, 0}) {
		t.Errorf("order %v", order)
	}
}

// 1 and 8 discordant pairs: 2 * (C(9,0) + C(9,1)) / 2^9.
func TestMcNemar(t *testing.T) {
	var a, b []metric.Answer
	right, wrong := metric.Answer{}, metric.Answer{Class: 1}
	for range 20 {
		a, b = append(a, right), append(b, right)
	}
	a, b = append(a, right), append(b, wrong)
	for range 8 {
		a, b = append(a, wrong), append(b, right)
	}
	onlyA, onlyB, p := metric.McNemar(a, b)
	if onlyA != 1 || onlyB != 8 || math.Abs(p-20./512) > 1e-9 {
		t.Errorf("%d, %d, %v", onlyA, onlyB, p)
	}
	if _, _, p := metric.McNemar(a, a); p != 1 {
		t.Errorf("a classifier differs from itself with p = %v", p)
	}
}
