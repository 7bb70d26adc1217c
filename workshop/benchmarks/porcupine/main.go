// Porcupine's verdict on histories that Python has read, one JSON object a line, and how long it took.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"hash/maphash"
	"math"
	"os"
	"syscall"

	"github.com/anishathalye/porcupine"
)

// An operation: values are numbers of a register's values, or texts of a key.
type call struct {
	Kind     string
	Key      string
	Value    string
	Expected string
	Result   string
	Known    bool
	Called   int64
	Returned int64
}

type history struct {
	Name   string
	Object string
	Calls  []call
}

const null = "\x00"

var seed = maphash.MakeSeed()

func step(state, input, output any) (bool, any) {
	held, c := state.(string), input.(*call)
	switch c.Kind {
	case "read", "get":
		same := c.Result == held || c.Result == "" && held == null
		return !c.Known || same, held
	case "write", "put":
		return true, c.Value
	case "append":
		if held == null {
			held = ""
		}
		return true, held + c.Value
	}
	swapped := held == c.Expected
	after := held
	if swapped {
		after = c.Value
	}
	return !c.Known || swapped == (c.Result == "true"), after
}

func byKey(all []porcupine.Operation) [][]porcupine.Operation {
	of := map[string][]porcupine.Operation{}
	for _, o := range all {
		key := o.Input.(*call).Key
		of[key] = append(of[key], o)
	}
	parts := [][]porcupine.Operation{}
	for _, part := range of {
		parts = append(parts, part)
	}
	return parts
}

func processSeconds() float64 {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		panic(err)
	}
	return float64(used.Utime.Nano()+used.Stime.Nano()) / 1e9
}

func main() {
	model := porcupine.Model{
		Init:      func() any { return null },
		Step:      step,
		Equal:     func(a, b any) bool { return a.(string) == b.(string) },
		Hash:      func(a any) uint64 { return maphash.String(seed, a.(string)) },
		Partition: byKey,
	}
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, math.MaxInt32)
	for lines.Scan() {
		var h history
		if err := json.Unmarshal(lines.Bytes(), &h); err != nil {
			panic(err)
		}
		operations := make([]porcupine.Operation, len(h.Calls))
		for i := range h.Calls {
			c := &h.Calls[i]
			operations[i] = porcupine.Operation{ClientId: i, Input: c, Call: c.Called, Output: c, Return: c.Returned}
		}
		began := processSeconds()
		holds := porcupine.CheckOperations(model, operations)
		fmt.Printf("{\"name\": %q, \"holds\": %t, \"seconds\": %g}\n", h.Name, holds, processSeconds()-began)
	}
}
