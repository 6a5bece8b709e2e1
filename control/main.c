/*
 * postern: the command line.
 *
 * Runs in: the caller's shell.   Trusts: the caller.   Owns: nothing.
 */
#include "control/cli.h"

int
main(int argc, char **argv)
{
    return cli_run(argc, argv);
}
