"""English function words, which say little about a topic and much about a style."""

_ENGLISH = """
a about above after again against all almost also although always am among an and
another any anybody anyone anything anyway are aren't around as at away back be
because been before behind being below besides between both but by can can't cannot
could couldn't did didn't do does doesn't doing don't done down during each either
else enough even ever every everybody everyone everything except few for from
further get gets getting go goes going gone gonna got gotta had hadn't has hasn't
have haven't having he he'd he'll he's her here here's hers herself him himself his
how how's however i i'd i'll i'm i've if in inside instead into is isn't it it'd
it'll it's its itself just kinda least less let let's like lot lots many maybe me
might mine more most much must mustn't my myself near need neither never no nobody
none nor not nothing now of off often ok okay on once one ones only onto or other
others our ours ourselves out outside over own per perhaps quite rather really same
shall she she'd she'll she's should shouldn't since so some somebody somehow someone
something sometimes soon still such than that that'll that's the their theirs them
themselves then there there'll there's these they they'd they'll they're they've
thing things this those though through till to together too toward towards under
until up upon us very wanna was wasn't we we'd we'll we're we've well were weren't
what what's whatever when when's whenever where where's whether which while who
who'll who's whoever whom whose why will with within without won't would wouldn't
yeah yep yes yet you you'd you'll you're you've your yours yourself yourselves
nah nope oh ah aw hey hi hm hmm huh mm um uh wow yo
arent cant couldnt didnt doesnt dont hadnt hasnt havent hes heres ill im isnt ive
lets shes shouldnt thats theres theyre theyve theyll wasnt werent whats wheres whos
wont wouldnt youd youll youre youve
u ur r n y k kk ya yea ye yup cuz cos coz bc tho thru til ppl pls plz thx ty np
lol lmao rofl haha hahaha hahah hehe omg wtf idk idc ikr imo imho tbh tbf btw brb
ngl rn fr af smh dunno lemme gimme gotcha sorta outta tryna finna aint ain't y'all
yall bro dude
"""

ENGLISH = frozenset(_ENGLISH.split())
"""English function words, as in chats."""
