/* control.h - the messages between a supervisor and its roles.
 *
 * A role is started with its control channel as descriptor CONTROL_FD. It gets
 * its configuration as text, is told to confine itself, then gets named
 * descriptors ("metrics", "listen.grpc", "link.authority.0"), then GO. Named
 * descriptors may come again later: a peer that was restarted, a file that
 * changed. */
#ifndef IPC_CONTROL_H
#define IPC_CONTROL_H

enum {
	CONTROL_FD = 3,
	CONTROL_FRAME_MAX = 1 << 20,
	CONTROL_NAME_MAX = 64
};

enum control_type {
	/* supervisor to role */
	CONTROL_CONFIG = 1, /* payload: the configuration's text */
	CONTROL_GIVE,       /* payload: a name; with a descriptor */
	CONTROL_GO,         /* everything that there is at start was given */
	CONTROL_RELOAD,     /* payload: new configuration's text */
	CONTROL_STOP,       /* finish what was accepted, then exit */
	CONTROL_CONFINE,    /* payload: see confine.h; right after CONFIG */
	/* role to supervisor */
	CONTROL_READY = 64, /* serving */
	CONTROL_DONE,       /* id: the CONFIG, CONFINE or GO that is done */
	CONTROL_AGAIN       /* a file that was given could not be read */
};

#endif
