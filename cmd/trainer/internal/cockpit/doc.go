// Package cockpit lets a page follow a training and steer it, and says what the page's Train part can ask for. It knows nothing
// of HTTP.
//
//   - training.go and hooks.go follow a training by train.Hooks, and carry out orders between two steps.
//   - listener.go passes on what happens to those who watch.
//   - histogram.go and probe.go summarise weights, gradients and activations.
//   - workshop.go is what the program must provide: recipes, data sets, runs.
package cockpit
