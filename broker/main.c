/*
 * posternd: reads the policy, owns the listeners, starts and reaps the rest.
 *
 * Runs in: broker.   Trusts: the caller.   Owns: nothing.
 */
#include "broker/broker.h"

int
main(int argc, char **argv)
{
    return broker_main(argc, argv);
}
