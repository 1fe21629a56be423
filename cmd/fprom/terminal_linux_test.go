package main_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"
)

// onTerminalAfter lets something happen between the question and the answer.
func onTerminalAfter(t *testing.T, e env, meanwhile func(), answer string, args ...string) (string, int) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = master.Close() }()
	var number, unlock int32
	ioctl(t, master, syscall.TIOCSPTLCK, &unlock)
	ioctl(t, master, syscall.TIOCGPTN, &number)
	size := [2]int32{24 | columns<<16, 0} // rows and columns, as uint16
	ioctl(t, master, syscall.TIOCSWINSZ, &size[0])
	tty, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	cmd := command(t, e, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = tty, tty, tty
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = tty.Close()
	var shown strings.Builder
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 1024)
		for typed := false; ; {
			n, err := master.Read(buf) // an error when the other side is closed
			_, _ = shown.Write(buf[:n])
			if asks := strings.HasSuffix(shown.String(), "[y/N] ") || strings.HasSuffix(shown.String(), "Ctrl-D\r\n"); asks && !typed {
				typed = true
				meanwhile()
				_, _ = io.WriteString(master, answer)
			}
			if err != nil {
				return
			}
		}
	}()
	err = cmd.Wait()
	if exit, is := errors.AsType[*exec.ExitError](err); err != nil && !is || is && exit.ExitCode() < 0 {
		t.Fatalf("%v: %s", err, shown.String())
	}
	select {
	case <-done:
	case <-time.After(time.Minute):
		t.Fatal("the terminal stays open")
	}
	return shown.String(), cmd.ProcessState.ExitCode()
}

func ioctl(t *testing.T, f *os.File, request uintptr, arg *int32) {
	t.Helper()
	if _, _, no := syscall.Syscall(syscall.SYS_IOCTL, f.Fd(), request, uintptr(unsafe.Pointer(arg))); no != 0 {
		t.Fatal(no)
	}
}

// A result that is cut off is no success.
func TestAFullDisk(t *testing.T) {
	t.Parallel()
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	for _, args := range []string{"--help", "help status", "--version", "completion bash", "trigger --list", "trigger --list -o json"} {
		cmd := command(t, nil, strings.Fields(args)...)
		var errs strings.Builder
		cmd.Stdout, cmd.Stderr = full, &errs
		if err := cmd.Run(); cmd.ProcessState.ExitCode() != 1 || !strings.Contains(errs.String(), "no space left") {
			t.Errorf("fprom %s: %v, want exit 1: %s", args, err, errs.String())
		}
	}
}
