package ranks

import (
	"fmt"
	"time"
)

// PatienceVariable is the environment variable with the time after which a rank gives up waiting for what should have happened:
// a sign of life of another rank, a sum over GPUs, or a library that is to end. It is a time such as 60s; unset, it is 20s.
const PatienceVariable = "TRAINER_RANK_PATIENCE"

// Patience reads PatienceVariable.
func Patience(getenv func(string) string) (time.Duration, error) {
	text := getenv(PatienceVariable)
	if text == "" {
		return 20 * time.Second, nil
	}
	limit, err := time.ParseDuration(text)
	if err != nil || limit <= 0 {
		return 0, fmt.Errorf("the environment variable %s is %q, want a time such as 60s", PatienceVariable, text)
	}
	return limit, nil
}
