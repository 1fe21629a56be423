package postgres

import (
	"errors"
	"os"
	"os/user"
	"strconv"
	"syscall"
)

// attributes are those of a process of the server: it ends with this one, and is not root's, which PostgreSQL refuses.
func attributes() *syscall.SysProcAttr {
	a := &syscall.SysProcAttr{Pdeathsig: syscall.SIGQUIT}
	if os.Geteuid() == 0 {
		if uid, gid, err := unprivileged(); err == nil { // own has reported the error
			a.Credential = &syscall.Credential{Uid: uid, Gid: gid}
		}
	}
	return a
}

// own makes dir the directory of the user that the server runs as.
func own(dir string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	uid, gid, err := unprivileged()
	if err != nil {
		return err
	}
	return os.Chown(dir, int(uid), int(gid))
}

func unprivileged() (uid, gid uint32, err error) {
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		id, err := strconv.ParseUint(u.Uid, 10, 32)
		if err != nil {
			return 0, 0, err
		}
		group, err := strconv.ParseUint(u.Gid, 10, 32)
		return uint32(id), uint32(group), err
	}
	return 0, 0, errors.New("there is neither a user postgres nor a user nobody, and PostgreSQL does not run as root")
}
