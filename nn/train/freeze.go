package train

import (
	"encoding/json"
	"fmt"

	"trainer/nn"
	"trainer/nn/optim"
)

// Layers that training leaves as they are (Config.Freeze), and parameters whose training has ended (optim.Group.UntilEpoch).

// work says what a step computes: which layers are frozen, and how many groups' training has ended. Each has recorded steps of its own.
type work struct {
	frozen bool
	ended  int
}

// changeWork makes the next step compute the gradients that are needed at its point of training.
func (s *Stepper) changeWork() {
	if s.part > 0 {
		return
	}
	s.thaw()
	s.endTraining()
	s.work = work{s.net.Frozen(), s.ended}
}

// thaw ends the freeze when its epoch has come.
func (s *Stepper) thaw() {
	if s.cfg.FreezeUntil == 0 {
		return
	}
	frozen := !optim.Progress{Step: s.step, StepsPerEpoch: s.perEpoch}.Reached(s.cfg.FreezeUntil)
	if frozen != s.net.Frozen() {
		s.setFrozen(frozen)
	}
}

// endTraining drops the gradients that nothing needs after the end of a group's training.
func (s *Stepper) endTraining() {
	ended := s.opt.Ended(s.step)
	if ended == s.ended {
		return
	}
	s.ended = ended
	s.endTrainingOf(func(p *nn.Param) bool { return s.opt.HasEnded(p, s.step) })
}

// freezeSetting returns the setting of checkpoints for frozen layers, if there are any.
func (c *Config) freezeSetting() []condition {
	if len(c.Freeze) == 0 {
		return nil
	}
	names, err := json.Marshal(c.Freeze)
	if err != nil { // strings have a JSON form
		panic(err)
	}
	text := string(names)
	if c.FreezeUntil > 0 {
		text += fmt.Sprintf(" until epoch %g", c.FreezeUntil)
	}
	return []condition{{"frozen layers", text}}
}
