"""Names that are also common words, in four languages, and words that are no names."""

_PARTICLES = """
mr mrs ms miss mx dr prof sir madam jr sr ii iii iv
herr frau fraulein dipl ing mag
don dona senor senora srta sra
m mme mlle monsieur madame mademoiselle
de del la las los le les du des d l di da dos das do el al
von van vom der den dem zu zum zur ten ter am
bin ibn abu y e i und and et
mum mom mama mami mummy mommy dad dada papa papi daddy pa ma
grandma grandpa granny nana nan oma opa abuela abuelo mamie papy
aunt auntie uncle tante onkel tia tio tonton tata
brother sister bruder schwester hermano hermana frere soeur
maman mutti vati boss chef team group family familie familia famille
work home office doctor taxi landlord neighbor neighbour
"""

# English, German, Spanish, French.
_COMMON_WORDS = """
abbey amber angel april art ash august autumn barb baron basil bay bear bell ben berry
bill bishop black blue booker brook brown buck bud burns carol case chance chase chip
chuck clay cliff cook cooper crystal daisy dawn day dean dee dick dolly don dot drew
duke earl early ed eve ever faith fay fern field finn fisher flora ford forest fox frank
gay gene ginger glen golden grace grant gray green grey guy hall hank hazel heath
heather holly home honey hope hunt hunter iris ivory ivy jack jade jay jean jewel joy
june just king kit kitty knight lance lane lark laurel lee lily little long lord love
luck major march marina mark marsh mason may melody mercy mike miles mill miller misty
mitch moon morgan nick noble olive opal pace page park pat patience patsy paul pearl peg
penny pepper pierce piper pope poppy prince rain randy ray red reed rich rick river rob
robin rock rod roger roman rose rosemary rowan royal ruby rusty sally sam sandy sharp
shell short sky smart snow sol star stark sterling stone storm stormy sue summer sunny
teddy tony tory trinity trip turner van vera victor viola violet wade walker ward warren
wayne weaver west white will willow winter wolf wood wren wright young zephyr

alt arm axt bach bauer baum bea becker berg birk blum braun busch engel ernst feld
fischer freitag fromm fuchs graf gross gut halt haus heide hein held hell herbst hoch
hut jager jung juni kai kaiser keller kind kirsch klein koch konig kraft krone kuhn kurz
lang laub lenz lieb linde lob mai montag mut ott rau reich richter ritter rosa rot roth
sand sauer schafer schneider scholl schon schuster schwarz sommer sonntag stein stern
vogel wagner weber weiss wild zimmermann zorn

alba alma amparo ana aurora bella blanca blanco bravo calvo campos cano casas castillo
clara conde consuelo cortes cruz delgado dolores domingo dulce esperanza estrella eva
flor fuente fuentes gloria guerra iba iglesias jesus leon libre linda luz mar medina
mercedes mesa milagros montes moreno nieta nieto nieves parra pascua paz perla piedad
pilar prado puerta pura ramos remedios rey reyes rica rios rocio roja rojas rubio sal
salas salvador santos serrano sierra soledad soto toro torres va valle vega vela ventura
victoria vivas

aimable aimee ange aout avril belle blanc blanche bois bonne bonnet boucher boulanger
boyer brun celeste cerise cher chere chevalier claire clement constance constant cousin
desire fleur france gentil germain grand gros honore jasmin jour juin juste lea lebon
lenoir leroy lion loup lune marchand marguerite marine masson max mercier meunier
modeste moulin noel noir pain parfait perle petit pierre prudence reine riviere roche
roi roux roy sage vert ville violette

al ali an bo do in jo li mia on so su
"""

_SENTENCE_OPENERS = """
al alt alma an arm art autumn avril august bad bella bill bo bonne chance chase cher
chere clara claire cook cool do drew dulce early ernst ever faith fox frank gay golden
gracias grand grant gray green gross gros gut hell herbst hoch honey hope hunt in joy
juin juni just juste june jung klein konig kurz lang libre li lieb linda little long
love luck mai major march mark mar may mercy mut noel on page pain park patience paz
piper pura queen red reich rich rica rob rock rosa rose rot sage sal salvador schon
sharp short sky smart snow so sol soledad sommer sonntag freitag montag storm su sue
stone summer sunny trip va vera verano victoria ville wade white wild will winter young
"""

_TIMES_OF_YEAR = """
march april may june august summer autumn winter
april mai juni august sommer herbst montag freitag sonntag
domingo verano primavera
avril mai juin aout
"""

LABELS = frozenset({"me", "unknown"})
"""What loaders write where there is no name; never a name in a text."""

PARTICLES = frozenset(_PARTICLES.split())
"""Folded words of display names that identify nobody: titles, particles, relations."""

COMMON_WORDS = frozenset(_COMMON_WORDS.split())
"""Folded names that are words too: found only where they are written like a name."""

SENTENCE_OPENERS = frozenset(_SENTENCE_OPENERS.split())
"""Those whose capital says nothing at the beginning of a sentence."""

TIMES_OF_YEAR = frozenset(_TIMES_OF_YEAR.split())
"""Folded names that are also months, seasons or days."""
