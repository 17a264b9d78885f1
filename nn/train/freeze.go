package train

import (
	"encoding/json"
	"fmt"

	"trainer/nn"
	"trainer/nn/optim"
)

// Layers that training leaves as they are (Config.Freeze), and parameters whose training has ended (optim.Group.UntilEpoch).

// changeWork makes the next step compute the gradients that are needed at its point of training. Where that changes the
// work of a step, it is recorded anew.
func (s *Stepper) changeWork() error {
	if s.part > 0 {
		return nil
	}
	thawed, ended := s.thaw(), s.endTraining()
	if !thawed && !ended {
		return nil
	}
	return s.discardRecordings()
}

// thaw ends the freeze when its epoch has come, and returns whether that changed the work.
func (s *Stepper) thaw() bool {
	if s.cfg.FreezeUntil == 0 {
		return false
	}
	frozen := !optim.Progress{Step: s.step, StepsPerEpoch: s.perEpoch}.Reached(s.cfg.FreezeUntil)
	if frozen == s.net.Frozen() {
		return false
	}
	s.setFrozen(frozen)
	return true
}

// endTraining drops the gradients that nothing needs after the end of a group's training, and returns whether that changed
// the work.
func (s *Stepper) endTraining() bool {
	ended := s.opt.Ended(s.step)
	if ended == s.ended {
		return false
	}
	s.ended = ended
	return s.endTrainingOf(func(p *nn.Param) bool { return s.opt.HasEnded(p, s.step) })
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
