package eventstream

import "testing"

func TestSecretIsLoadedFromItsFileAgain(t *testing.T) {
	t.Parallel()
	path := t.TempDir() + "/deep/cursors.key"
	first, err := LoadSecret(path)
	if err != nil {
		t.Fatal(err)
	}
	if second, err := LoadSecret(path); err != nil || string(second) != string(first) {
		t.Errorf("then it was %x, %v", second, err)
	}
}
