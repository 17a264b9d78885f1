package vector

import "math"

// Hyperparameters is a row of hyperparameters (device.HyperLR and so on) in the form that the
// update rules need. The rules use the gradient g, which includes weight decay:
//
//	g = GradScale*grad + Coupled*w
//	w = Keep*w - LR*...
type Hyperparameters struct {
	LR, GradScale, Coupled, Keep float32
	Momentum, Beta2              float32
	NewMomentum, NewBeta2        float32 // 1-Momentum, 1-Beta2
	Correction2, Epsilon         float32
}

// Update holds the update rules, each over slices of len(w).
type Update struct {
	SGD             func(w, grad []float32, u *Hyperparameters)
	SGDMomentum     func(w, grad, velocity []float32, u *Hyperparameters)
	SGDNesterov     func(w, grad, velocity []float32, u *Hyperparameters)
	Adam            func(w, grad, first, second []float32, u *Hyperparameters) // LR includes Correction1
	RMSProp         func(w, grad, squares []float32, u *Hyperparameters)
	RMSPropMomentum func(w, grad, squares, velocity []float32, u *Hyperparameters)
}

// sgd: w -= LR*g.
func sgd(w, grad []float32, u *Hyperparameters) {
	grad = grad[:len(w)]
	for i, x := range w {
		g := u.GradScale*grad[i] + u.Coupled*x
		w[i] = u.Keep*x - u.LR*g
	}
}

// sgdMomentum: v = momentum*v + g; w -= LR*v.
func sgdMomentum(w, grad, velocity []float32, u *Hyperparameters) {
	grad, velocity = grad[:len(w)], velocity[:len(w)]
	for i, x := range w {
		g := u.GradScale*grad[i] + u.Coupled*x
		v := u.Momentum*velocity[i] + g
		velocity[i] = v
		w[i] = u.Keep*x - u.LR*v
	}
}

// sgdNesterov: v = momentum*v + g; w -= LR*(g + momentum*v).
func sgdNesterov(w, grad, velocity []float32, u *Hyperparameters) {
	grad, velocity = grad[:len(w)], velocity[:len(w)]
	for i, x := range w {
		g := u.GradScale*grad[i] + u.Coupled*x
		v := u.Momentum*velocity[i] + g
		velocity[i] = v
		w[i] = u.Keep*x - u.LR*(g+u.Momentum*v)
	}
}

// adam: m = b1 m + (1-b1) g; v = b2 v + (1-b2) g^2;
// w -= LR*m*Correction1 / (sqrt(v*Correction2) + Epsilon).
func adam(w, grad, first, second []float32, u *Hyperparameters) {
	grad, first, second = grad[:len(w)], first[:len(w)], second[:len(w)]
	for i, x := range w {
		g := u.GradScale*grad[i] + u.Coupled*x
		m := u.Momentum*first[i] + u.NewMomentum*g
		v := u.Beta2*second[i] + u.NewBeta2*(g*g)
		first[i], second[i] = m, v
		w[i] = u.Keep*x - u.LR*(m/(sqrt(v*u.Correction2)+u.Epsilon))
	}
}

// rmsProp: v = b2 v + (1-b2) g^2; w -= LR*g / (sqrt(v) + Epsilon).
func rmsProp(w, grad, squares []float32, u *Hyperparameters) {
	grad, squares = grad[:len(w)], squares[:len(w)]
	for i, x := range w {
		g := u.GradScale*grad[i] + u.Coupled*x
		v := u.Beta2*squares[i] + u.NewBeta2*(g*g)
		squares[i] = v
		w[i] = u.Keep*x - u.LR*(g/(sqrt(v)+u.Epsilon))
	}
}

// rmsPropMomentum: as rmsProp, with u = momentum*u + g/(sqrt(v)+Epsilon); w -= LR*u.
func rmsPropMomentum(w, grad, squares, velocity []float32, u *Hyperparameters) {
	grad, squares, velocity = grad[:len(w)], squares[:len(w)], velocity[:len(w)]
	for i, x := range w {
		g := u.GradScale*grad[i] + u.Coupled*x
		v := u.Beta2*squares[i] + u.NewBeta2*(g*g)
		step := u.Momentum*velocity[i] + g/(sqrt(v)+u.Epsilon)
		squares[i], velocity[i] = v, step
		w[i] = u.Keep*x - u.LR*step
	}
}

// sqrt is the square root in float32, one instruction.
func sqrt(x float32) float32 { return float32(math.Sqrt(float64(x))) }
