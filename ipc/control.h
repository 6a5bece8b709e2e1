/*
 * The control socket's constants, for both ends. The messages are in
 * ipc/control.proto.
 */
#ifndef POSTERN_IPC_CONTROL_H
#define POSTERN_IPC_CONTROL_H

#define CONTROL_VERSION 1u
#define CONTROL_BYTES_MAX (64u * 1024u)          /* of one message */
#define CONTROL_PATH "/run/postern/control.sock" /* where the command line looks by itself */

#endif
