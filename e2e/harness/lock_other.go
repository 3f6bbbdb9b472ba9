//go:build !unix

package harness

func lock(string) (unlock func(), err error) { return func() {}, nil }
